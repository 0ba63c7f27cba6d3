import { cosineWeight, linearWeight, RAMP_DEFAULTS } from "../../regularizer/coefficients/schedules.ts";
import { group, notNegative, oneOf, whole } from "../values.ts";
import { coefficient } from "./kind.ts";

/** From one value to another, in a line or half a cosine. */
export const ramp = coefficient({
  schema: group({
    schedule: oneOf(["linear", "cosine"]),
    from: notNegative.default(RAMP_DEFAULTS.from),
    to: notNegative,
    steps: whole(2),
  }),
  key: { name: "schedule", words: ["linear", "cosine"] },
  usage: "{ schedule: linear, to: NUMBER, steps: NUMBER }",
  help: "a ramp over the first steps (also from, 0 unless set; cosine)",
  isControlled: false,
  make: (settings) => (settings.schedule === "linear" ? linearWeight(settings) : cosineWeight(settings)),
  describe: ({ schedule, from, to, steps }) => `${from} to ${to} over ${steps} steps (${schedule})`,
  canTrain: ({ from, to }) => from > 0 || to > 0,
});
