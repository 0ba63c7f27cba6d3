import { z } from "zod";
import type { Coefficient } from "../../regularizer/coefficients/contract.ts";
import { refuse } from "../values.ts";
import { adaptive } from "./adaptive.ts";
import { budget } from "./budget.ts";
import { constant } from "./constant.ts";
import type { CoefficientKind } from "./kind.ts";
import { number } from "./number.ts";
import { piecewise } from "./piecewise.ts";
import { ramp } from "./ramp.ts";
import { warmup } from "./warmup.ts";

/** @file The weight of a regularizer in a configuration. */

/** All of them, in the order of help. */
const KINDS = [number, budget, adaptive, ramp, warmup, constant, piecewise] as const;

export type CoefficientConfig = z.output<(typeof KINDS)[number]["schema"]>;

const every: readonly CoefficientKind<CoefficientConfig>[] = KINDS;

/** A weight: a number, a schedule, or a controller. */
export const weight = z.union(
  KINDS.map(({ schema }) => schema),
  { error: ({ input }) => expectedOf(input) },
);

/** The forms of a weight that moves, and what each does. */
export const VARIANTS = every.slice(1).map(({ usage, help }) => [usage, help] as const);

/** Why a regularizer that measures no nats per token refuses a controller. */
const NOT_CONTROLLABLE = "a budget or a controller needs nats per token: use a number or a schedule";

/** A weight that is not controlled by what is measured. */
export const uncontrolled = weight.superRefine((value, context) => refuseControl(value, context, []));

/** Refuses a weight that moves by nats per token. */
export function refuseControl(value: CoefficientConfig, context: z.RefinementCtx, path: PropertyKey[]): void {
  if (kindOf(value).isControlled) refuse(context, path, NOT_CONTROLLABLE);
}

/** The number or the coefficient of the settings. */
export function makeCoefficient(config: CoefficientConfig): number | Coefficient {
  return kindOf(config).make(config);
}

/** In words, after "weight": `0.1`, `for a budget of 0.1 nats per token`. */
export function describeCoefficient(config: CoefficientConfig): string {
  return kindOf(config).describe(config);
}

/** Whether it is ever > 0: the regularizer trains, and is not only measured. */
export function canTrain(config: CoefficientConfig): boolean {
  return kindOf(config).canTrain(config);
}

function kindOf(config: unknown): CoefficientKind<CoefficientConfig> {
  const found = every.find(({ key }) => {
    if (typeof config !== "object" || config === null) return key === undefined;
    const word = (config as Readonly<Record<string, unknown>>)[key?.name ?? ""];
    return word !== undefined && (key?.words?.includes(String(word)) ?? true);
  });
  return found ?? number;
}

/** What is expected in place of an invalid weight: the complete form of its kind. */
function expectedOf(input: unknown): string {
  const { key, usage } = kindOf(input);
  if (key === undefined) {
    return "a finite number of at least 0, or what moves it, such as { budget: 0.1 } or { schedule: linear, to: 0.5, steps: 100 }";
  }
  const [word] = key.words ?? [];
  return word === undefined
    ? usage
    : usage.replace(word, String((input as Readonly<Record<string, unknown>>)[key.name]));
}
