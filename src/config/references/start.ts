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
  make: (_, { base, start }) => live(baseReference(start ?? base, "the adapter that training started from")),
});
