import { z } from "zod";
import { adaptiveWeight } from "../regularizer/coefficients/adaptive.ts";
import { budgetWeight } from "../regularizer/coefficients/budget.ts";
import type { Weight } from "../regularizer/coefficients/contract.ts";
import { cosineWeight, linearWeight, piecewiseWeight, warmupWeight } from "../regularizer/coefficients/schedules.ts";
import { group, notNegative, positive, unset, whole } from "./values.ts";

/** @file What a configuration may say of a regularizer's weight, and the weight that it says. */

const SCHEDULES = "constant, linear, cosine, warmup or piecewise";
const points = "a list of [STEP, WEIGHT], such as [[1, 0], [100, 0.5]], steps rising";

const constant = group({ schedule: z.literal("constant", { error: SCHEDULES }), value: notNegative });
const ramp = group({
  schedule: z.enum(["linear", "cosine"], { error: SCHEDULES }),
  from: notNegative.default(0),
  to: notNegative,
  steps: whole(2),
});
const warmup = group({ schedule: z.literal("warmup", { error: SCHEDULES }), to: notNegative, steps: whole(1) });
const piecewise = group({
  schedule: z.literal("piecewise", { error: SCHEDULES }),
  points: z
    .array(z.tuple([whole(1), notNegative], { error: points }), { error: points })
    .min(1, { error: points })
    .refine((list) => list.every(([step], i) => step > (list[i - 1]?.[0] ?? 0)), { error: points }),
});
const adaptive = group({
  controller: z.literal("adaptive", { error: "adaptive" }),
  target: positive,
  initial: positive.default(0.1),
  horizon: positive.default(10),
});
const budget = group({
  budget: positive,
  update: z.enum(["additive", "multiplicative"], { error: "additive or multiplicative" }).default("additive"),
  initial: notNegative.default(0.1),
  rate: unset(positive),
}).refine(({ update, initial }) => update === "additive" || initial > 0, {
  error: "a number above 0, since what is multiplied cannot leave 0",
  path: ["initial"],
});

/** A weight: a number, a schedule, or a controller. */
export const weight = z.union([notNegative, constant, ramp, warmup, piecewise, adaptive, budget], {
  error: ({ input }) => expectedOf(input),
});

/** Whether what a regularizer measures steers the weight. */
export function isSteered(config: WeightConfig): boolean {
  return typeof config === "object" && ("budget" in config || "controller" in config);
}

/** What a regularizer without a divergence can be weighed by. */
export const UNSTEERED =
  "a number or a schedule: a budget or a controller steers by nats per token, and this regularizer measures nothing that it could hold to a target";

/** What a weight that was begun like this would be complete as. */
function expectedOf(input: unknown): string {
  const { schedule, controller } = (input ?? {}) as { readonly schedule?: unknown; readonly controller?: unknown };
  if (controller !== undefined) return "{ controller: adaptive, target: NATS } (also initial, horizon)";
  if (schedule === "constant") return "{ schedule: constant, value: NUMBER }";
  if (schedule === "piecewise") return "{ schedule: piecewise, points: [[STEP, NUMBER], …] }";
  if (schedule !== undefined) return `{ schedule: ${String(schedule)}, to: NUMBER, steps: NUMBER }`;
  return "a finite number of at least 0, or what moves it, such as { budget: 0.1 } or { schedule: linear, to: 0.5, steps: 100 }";
}

export type WeightConfig = z.output<typeof weight>;

/** The weight that a configuration says; a controller is new each time. */
export function buildWeight(config: WeightConfig): number | Weight {
  if (typeof config === "number") return config;
  if ("budget" in config) return budgetWeight({ ...config, rate: config.rate ?? undefined });
  if ("controller" in config) return adaptiveWeight(config);
  if (config.schedule === "constant") return config.value;
  if (config.schedule === "piecewise") return piecewiseWeight(config.points);
  if (config.schedule === "warmup") return warmupWeight(config);
  return config.schedule === "linear" ? linearWeight(config) : cosineWeight(config);
}

/** In words, after "weight": `0.1`, `0 to 0.5 over 100 steps (linear)`, `for a budget of 0.1 nats per token`. */
export function describeWeight(config: WeightConfig): string {
  if (typeof config === "number") return `${config}`;
  if ("budget" in config) return `for a budget of ${config.budget} nats per token`;
  if ("controller" in config) return `for a target of ${config.target} nats per token`;
  if (config.schedule === "constant") return `${config.value}`;
  if (config.schedule === "piecewise") {
    return config.points.map(([step, weight]) => `${weight} in step ${step}`).join(", ");
  }
  const from = config.schedule === "warmup" ? 0 : config.from;
  return `${from} to ${config.to} over ${config.steps} steps (${config.schedule})`;
}

/** Whether the regularizer ever trains, and not only measures. */
export function everActs(config: WeightConfig): boolean {
  if (typeof config === "number") return config > 0;
  if ("budget" in config || "controller" in config) return true;
  if (config.schedule === "constant") return config.value > 0;
  if (config.schedule === "piecewise") return config.points.some(([, weight]) => weight > 0);
  return config.to > 0 || (config.schedule !== "warmup" && config.from > 0);
}
