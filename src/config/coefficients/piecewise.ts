import { z } from "zod";
import { piecewiseWeight } from "../../regularizer/coefficients/schedules.ts";
import { group, notNegative, whole, word } from "../values.ts";
import { coefficient } from "./kind.ts";

const error = "a list of [STEP, WEIGHT], such as [[1, 0], [100, 0.5]], steps rising";

/** In lines from point to point. */
export const piecewise = coefficient({
  schema: group({
    schedule: word("piecewise"),
    points: z
      .array(z.tuple([whole(1), notNegative], { error }), { error })
      .min(1, { error })
      .refine((list) => list.every(([step], i) => step > (list[i - 1]?.[0] ?? 0)), { error }),
  }),
  key: { name: "schedule", words: ["piecewise"] },
  usage: "{ schedule: piecewise, points: [[STEP, NUMBER], …] }",
  help: "in lines from point to point",
  isControlled: false,
  make: ({ points }) => piecewiseWeight(points),
  describe: ({ points }) => points.map(([step, weight]) => `${weight} in step ${step}`).join(", "),
  canTrain: ({ points }) => points.some(([, weight]) => weight > 0),
});
