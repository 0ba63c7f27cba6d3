import { fieldReference } from "../../reference/field.ts";
import { group, text } from "../values.ts";
import { checked, refuseSamples, temperature } from "./precomputed.ts";
import { provider } from "./provider.ts";

/** Log-probabilities that each line of the data carries. */
export const field = provider({
  type: "field",
  schema: group({ field: text("the name of a key in each line of the data"), temperature }),
  usage: "{ field: NAME }",
  help: "log-probabilities in each line of the data (also temperature)",
  describe: ({ field }) => `field ${field}`,
  coversLinesOnly: true,
  refuses: refuseSamples,
  fields: ({ field }) => [field],
  make: ({ field, temperature }, material) => checked(fieldReference(field, { temperature }), material, [field]),
});
