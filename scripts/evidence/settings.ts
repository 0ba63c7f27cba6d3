/** One run of the evidence: its regularizer as a configuration writes it, and what else matters. */
export interface Setting {
  readonly name: string;
  readonly regularizer: Regularizer;
  readonly seed: number;
  readonly learning_rate: number;
  readonly alpha: number;
  readonly steps: number;
}

export interface Regularizer {
  readonly weight: number;
  readonly direction?: "forward" | "reverse";
  readonly symmetric?: boolean;
  readonly on?: { readonly samples: number; readonly rows: number };
}

export function nameOf({ weight, direction, symmetric, on }: Regularizer): string {
  if (weight === 0) return "no KL";
  const divergence = symmetric ? "JS" : direction === "forward" ? "KL(model‖reference)" : "KL(reference‖model)";
  return `${divergence} ${weight}${on ? ` on ${on.samples} samples, ${on.rows} rows` : ""}`;
}

function settings(
  regularizers: readonly Regularizer[],
  {
    seeds = [1],
    learning_rates = [5e-3],
    alpha = 16,
    steps = 250,
  }: { seeds?: number[]; learning_rates?: number[]; alpha?: number; steps?: number },
): Setting[] {
  return seeds.flatMap((seed) =>
    learning_rates.flatMap((learning_rate) =>
      regularizers.map((regularizer) => ({
        name: nameOf(regularizer),
        regularizer,
        seed,
        learning_rate,
        alpha,
        steps,
      })),
    ),
  );
}

const free: Regularizer = { weight: 0, direction: "reverse" };
const reverse = (weight: number): Regularizer => ({ weight, direction: "reverse" });
const forward = (weight: number): Regularizer => ({ weight, direction: "forward" });
const js = (weight: number): Regularizer => ({ weight, symmetric: true });
const anchor = (
  weight: number,
  samples = 800,
  rows = 16,
  direction: "forward" | "reverse" = "reverse",
): Regularizer => ({
  weight,
  direction,
  on: { samples, rows },
});
const ALL_SEEDS = [1, 2, 3];

/** What is run, by name. */
export const SETS: Readonly<Record<string, readonly Setting[]>> = {
  /** A first look: one seed. */
  higher: settings([free, reverse(0.1), reverse(0.2), reverse(0.3), anchor(1)], { learning_rates: [7e-3, 1e-2] }),
  exploration: settings([free, reverse(0.1), reverse(0.2), reverse(0.3), anchor(1)], { learning_rates: [3e-3, 5e-3] }),
};
export { ALL_SEEDS, anchor, forward, js, reverse, settings };
