import { baseReference } from "../../reference/base.ts";
import { word } from "../values.ts";
import { live, provider } from "./provider.ts";

/** The model without its adapter. */
export const base = provider({
  type: "base",
  schema: word("base"),
  usage: "base",
  help: "the model without its adapter",
  describe: () => "base",
  make: (_, { base }) => live(baseReference(base)),
});
