import { UserError } from "../../common/errors.ts";
import { shortJson } from "../short-json.ts";

/** Token ids and the loss weight of each. @throws UserError naming the first entry that is wrong. */
export function readTokens(line: Readonly<Record<string, unknown>>): {
  readonly tokens: readonly number[];
  readonly weights: readonly number[];
} {
  const isId = (id: number) => Number.isInteger(id) && id >= 0;
  const tokens = readNumbers(line.tokens, "tokens", isId, "token ids, whole numbers from 0");
  if (line.weights === undefined || line.weights === null) return { tokens, weights: tokens.map(() => 1) };
  const weights = readNumbers(line.weights, "weights", isWeight, WEIGHTS);
  if (weights.length === tokens.length) return { tokens, weights };
  throw new UserError(`there are ${weights.length} weights for ${tokens.length} tokens, expected one for each`);
}

/** What a weight must be. */
export const WEIGHTS = "numbers from 0 to 3.4e38, the most that float32 holds";

/** Whether float32 holds it, as losses do. */
export function isWeight(weight: unknown): weight is number {
  return typeof weight === "number" && weight >= 0 && Number.isFinite(Math.fround(weight));
}

function readNumbers(
  value: unknown,
  key: string,
  holds: (value: number) => boolean,
  expected: string,
): readonly number[] {
  if (!Array.isArray(value)) throw new UserError(`\`${key}\` is ${shortJson(value)}, expected a list of ${expected}`);
  const wrong = (value as unknown[]).findIndex((item) => typeof item !== "number" || !holds(item));
  if (wrong !== -1) throw new UserError(`${key}[${wrong}] is ${shortJson(value[wrong])}, expected ${expected}`);
  return value as number[];
}
