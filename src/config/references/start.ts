import { UserError } from "../../common/errors.ts";
import { baseReference } from "../../reference/base.ts";
import { word } from "../values.ts";
import { live, provider } from "./provider.ts";

/** The adapter that training starts from. */
export const start = provider({
  type: "start",
  schema: word("start"),
  usage: "start",
  help: "the adapter that training starts from (train.adapter)",
  describe: () => "start",
  isStart: () => true,
  make: (_, { snapshots }) => {
    if (!snapshots) {
      throw new UserError(
        "`reference: start` needs a copy of the adapter, which this engine cannot make: use an embedded engine",
      );
    }
    return live(baseReference(snapshots.take(), "the adapter that training started from"));
  },
});
