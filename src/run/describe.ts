import { describeWeight, everActs } from "../config/coefficients.ts";
import type { Config, OnTextConfig, RegularizerConfig } from "../config/schema.ts";
import { sourcesOf } from "../config/text.ts";
import type { Direction } from "../divergence/kl-divergence.ts";
import type { SummaryInput } from "../drift/summary.ts";
import type { Factors } from "../regularizer/adapter/contract.ts";
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
    case "l1":
      return `‖${factors(settings)}‖₁`;
    case "l2":
      return `½‖${factors(settings)}‖²`;
    case "elastic_net":
      return `${settings.l1_ratio}‖${factors(settings)}‖₁ + ${(1 - settings.l1_ratio) / 2}‖${factors(settings)}‖²`;
    case "orthogonality":
      return `‖${factors(settings)} products − ${settings.target}‖²`;
  }
}

function factors({ factors }: { factors: Factors }): string {
  return factors === "both" ? "A, B" : factors;
}

function divergence({ direction, symmetric }: { direction: Direction; symmetric: boolean }, other: string): string {
  if (symmetric) return `JS(model, ${other})`;
  return direction === "forward" ? `KL(model‖${other})` : `KL(${other}‖model)`;
}

/** What a regularizer holds the model on, in words. */
function where(settings: RegularizerConfig): string {
  if (!("on" in settings)) return "on the adapter";
  const words = sourcesOf(settings.on).map((source) => {
    if (source === "completions") return "the completions";
    return "file" in source ? "texts of a file" : `${source.samples} samples of the base`;
  });
  return `on ${words.join(" and ")}`;
}

/** What a regularizer is held to, in a word or two; null where it needs no reference. */
function heldTo(settings: RegularizerConfig): string | null {
  if (!("reference" in settings)) return null;
  const { reference } = settings;
  if (typeof reference === "string") return reference;
  const [kind, what] = Object.entries(reference)[0]!;
  if (typeof what === "object" && "every" in what) return `the model up to ${what.every} steps ago`;
  if (typeof what === "object" && "url" in what) return `${what.model} at ${what.url}`;
  return typeof what === "string" ? `${kind} ${what}` : kind;
}

function describe(settings: RegularizerConfig): string {
  const reference = heldTo(settings);
  const facts = [formula(settings), `weight ${describeWeight(settings.weight)}`, where(settings)];
  // The base goes without saying.
  return [...facts, ...(reference === null || reference === "base" ? [] : [`reference: ${reference}`])].join(" · ");
}

/** A run's regularizers in one line: `KL(reference‖model) · weight 0.1 · on the completions`. */
export function describeRegularizers(regularizers: Config["regularizers"]): string {
  const acting = regularizers.filter(({ weight }) => everActs(weight));
  if (acting.length === 0) return "no regularizer";
  return acting.map(describe).join("; ");
}

/**
 * What sets a run apart in a summary: the regularizer of the greatest weight, be it 0. Of a weight that moves, the greatest
 * that the steps had.
 */
export function runSettings(
  { regularizers }: Config,
  rows: readonly StepMetrics[] = [],
): Pick<SummaryInput, "weight" | "direction" | "on" | "reference"> {
  // Weights of penalties on the adapter compare with nothing.
  const [main] = regularizers
    .filter((each): each is OnTextConfig => "on" in each)
    .map((each) => ({ ...each, weight: greatestWeight(each, rows) }))
    .sort((a, b) => b.weight - a.weight);
  if (!main) return { weight: 0, direction: null, on: null, reference: null };
  const symmetric = "symmetric" in main ? main.symmetric : main.type === "jensen_shannon";
  return {
    weight: main.weight,
    direction: symmetric ? "symmetric" : "direction" in main ? main.direction : null,
    on: sourcesOf(main.on).every((source) => source === "completions") ? "completions" : "anchor",
    reference: heldTo(main),
  };
}

function greatestWeight({ weight, name, type }: RegularizerConfig, rows: readonly StepMetrics[]): number {
  if (typeof weight === "number") return weight;
  return Math.max(0, ...rows.map((row) => row[`${name ?? type}/weight`] ?? row.weight ?? 0));
}
