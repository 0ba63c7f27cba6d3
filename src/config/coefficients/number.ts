import { notNegative } from "../values.ts";
import { coefficient } from "./kind.ts";

/** A plain number. */
export const number = coefficient({
  schema: notNegative,
  usage: "NUMBER",
  help: "the same in every step",
  isControlled: false,
  make: (value) => value,
  describe: String,
  canTrain: (value) => value > 0,
});
