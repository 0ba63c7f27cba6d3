import { greatest } from "../common/extremes.ts";
import { canTrain, describeCoefficient } from "../config/coefficients/index.ts";
import { describeReference } from "../config/references/index.ts";
import { formula, namesOf } from "../config/regularizers/index.ts";
import type { Config, RegularizerConfig } from "../config/schema.ts";
import { sourcesOf } from "../config/text.ts";
import type { SummaryInput } from "../drift/summary.ts";
import type { StepMetrics } from "../train/metrics.ts";

/** What a regularizer works on, in words. */
export function describeText(settings: RegularizerConfig): string {
  if (!("text" in settings)) return "on the adapter";
  const words = sourcesOf(settings.text).map((source) => {
    if (source === "completions") return "the completions";
    return "file" in source ? "texts of a file" : `${source.samples} samples of the base`;
  });
  return `on ${words.join(" and ")}`;
}

/** What a regularizer is held to, in a word or two; null where it needs no reference. */
function referenceName(settings: RegularizerConfig): string | null {
  return "reference" in settings ? describeReference(settings.reference) : null;
}

function describe(settings: RegularizerConfig): string {
  const reference = referenceName(settings);
  const facts = [formula(settings), `weight ${describeCoefficient(settings.weight)}`, describeText(settings)];
  // The base is the default.
  return [...facts, ...(reference === null || reference === "base" ? [] : [`reference: ${reference}`])].join(" · ");
}

/** A run's regularizers in one line: `KL(reference‖model) · weight 0.1 · on the completions`. */
export function describeRegularizers(regularizers: Config["regularizers"]): string {
  const training = regularizers.filter(({ weight }) => canTrain(weight));
  return training.length === 0 ? "no regularizer" : training.map(describe).join("; ");
}

/**
 * What sets a run apart in a summary: the regularizer of the greatest weight, be it 0. Of a weight that moves, the greatest
 * that the steps had.
 */
export function runSettings(
  { regularizers }: Config,
  rows: readonly StepMetrics[] = [],
): Pick<SummaryInput, "weight" | "regularizer" | "text" | "reference"> {
  // Weights of penalties on the adapter compare with nothing.
  const names = namesOf(regularizers);
  const [main] = regularizers
    .flatMap((settings, i) =>
      "text" in settings ? [{ settings, weight: greatestWeight(settings, names[i]!, rows) }] : [],
    )
    .sort((a, b) => b.weight - a.weight);
  if (!main) return { weight: 0, regularizer: null, text: null, reference: null };
  const { settings, weight } = main;
  return {
    weight,
    regularizer: formula(settings),
    text: sourcesOf(settings.text).every((source) => source === "completions") ? "completions" : "anchor",
    reference: referenceName(settings),
  };
}

function greatestWeight({ weight }: RegularizerConfig, name: string, rows: readonly StepMetrics[]): number {
  if (typeof weight === "number") return weight;
  return Math.max(0, greatest(rows.map((row) => row[`${name}/weight`] ?? row.weight ?? 0)));
}
