import { warmupWeight } from "../../regularizer/coefficients/schedules.ts";
import { group, notNegative, whole, word } from "../values.ts";
import { coefficient } from "./kind.ts";

/** Warm-up, as of a learning rate. */
export const warmup = coefficient({
  schema: group({ schedule: word("warmup"), to: notNegative, steps: whole(1) }),
  key: { name: "schedule", words: ["warmup"] },
  usage: "{ schedule: warmup, to: NUMBER, steps: NUMBER }",
  help: "rises linearly: step 1 of n has 1/n of it, step n all of it",
  isControlled: false,
  make: warmupWeight,
  describe: ({ to, steps }) => `0 to ${to} over ${steps} steps (warmup)`,
  canTrain: ({ to }) => to > 0,
});
