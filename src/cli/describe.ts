import type { Direction } from "../divergence/kl-divergence.ts";
import type { SummaryInput } from "../drift/summary.ts";
import type { Config, RegularizerConfig } from "../train/config.ts";
import { describeWeight, everActs } from "../train/config-weights.ts";
import type { StepMetrics } from "../train/metrics.ts";

/** What a regularizer measures, as a formula. */
export function formula(settings: RegularizerConfig): string {
  switch (settings.type) {
    case "kl_divergence":
      return divergence(settings, "reference");
    case "jensen_shannon":
      return settings.beta === 0.5 ? "JS(model, reference)" : `JS(model, reference; β ${settings.beta})`;
    case "entropy":
      return settings.mode === "bonus" ? "−H(model)" : "H(model)";
    case "consistency":
      return divergence(settings, "view");
  }
}

function divergence({ direction, symmetric }: { direction: Direction; symmetric: boolean }, other: string): string {
  if (symmetric) return `JS(model, ${other})`;
  return direction === "forward" ? `KL(model‖${other})` : `KL(${other}‖model)`;
}

/** What a regularizer holds the model on, in words. */
function where({ on }: RegularizerConfig): string {
  if (on === "completions") return "on the completions";
  return "file" in on ? "on texts of a file" : `on ${on.samples} samples of the base`;
}

/** A run's regularizers in one line: `KL(reference‖model) · weight 0.1 · on the completions`. */
export function describeRegularizers(regularizers: Config["regularizers"]): string {
  const acting = regularizers.filter(({ weight }) => everActs(weight));
  if (acting.length === 0) return "no regularizer";
  return acting.map((each) => `${formula(each)} · weight ${describeWeight(each.weight)} · ${where(each)}`).join("; ");
}

/**
 * What sets a run apart in a summary: the regularizer of the greatest weight, be it 0. Of a weight that moves, the greatest
 * that the steps had.
 */
export function runSettings(
  { regularizers }: Config,
  rows: readonly StepMetrics[] = [],
): Pick<SummaryInput, "weight" | "direction" | "on"> {
  const [main] = regularizers
    .map((each) => ({ ...each, weight: greatestWeight(each, rows) }))
    .sort((a, b) => b.weight - a.weight);
  if (!main) return { weight: 0, direction: null, on: null };
  const symmetric = "symmetric" in main ? main.symmetric : main.type === "jensen_shannon";
  return {
    weight: main.weight,
    direction: symmetric ? "symmetric" : "direction" in main ? main.direction : null,
    on: main.on === "completions" ? "completions" : "anchor",
  };
}

function greatestWeight({ weight, name, type }: RegularizerConfig, rows: readonly StepMetrics[]): number {
  if (typeof weight === "number") return weight;
  return Math.max(0, ...rows.map((row) => row[`${name ?? type}/weight`] ?? row.weight ?? 0));
}
