import type { SummaryInput } from "../drift/summary.ts";
import type { Config, RegularizerConfig } from "../train/config.ts";

/** The divergence as a formula. */
export function formula({ direction, symmetric }: Pick<RegularizerConfig, "direction" | "symmetric">): string {
  if (symmetric) return "JS(model, reference)";
  return direction === "forward" ? "KL(model‖reference)" : "KL(reference‖model)";
}

/** What a regularizer holds the model on, in words. */
function where({ on }: RegularizerConfig): string {
  if (on === "completions") return "on the completions";
  return "file" in on ? "on texts of a file" : `on ${on.samples} samples of the base`;
}

/** A run's regularizers in one line: `KL(reference‖model) · weight 0.1 · on the completions`. */
export function describeRegularizers(regularizers: Config["regularizers"]): string {
  const acting = regularizers.filter(({ weight }) => weight > 0);
  if (acting.length === 0) return "no regularizer";
  return acting.map((each) => `${formula(each)} · weight ${each.weight} · ${where(each)}`).join("; ");
}

/** What sets a run apart in a summary: the regularizer of the greatest weight, be it 0. */
export function runSettings({ regularizers }: Config): Pick<SummaryInput, "weight" | "direction" | "on"> {
  const [main] = [...regularizers].sort((a, b) => b.weight - a.weight);
  if (!main) return { weight: 0, direction: null, on: null };
  return {
    weight: main.weight,
    direction: main.symmetric ? "symmetric" : main.direction,
    on: main.on === "completions" ? "completions" : "anchor",
  };
}
