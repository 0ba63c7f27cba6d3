import { group, notNegative, word } from "../values.ts";
import { coefficient } from "./kind.ts";

/** A number, written as a schedule. */
export const constant = coefficient({
  schema: group({ schedule: word("constant"), value: notNegative }),
  key: { name: "schedule", words: ["constant"] },
  usage: "{ schedule: constant, value: NUMBER }",
  help: "the same in every step",
  isControlled: false,
  make: ({ value }) => value,
  describe: ({ value }) => `${value}`,
  canTrain: ({ value }) => value > 0,
});
