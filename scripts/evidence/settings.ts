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
  /** Default `kl_divergence`; other types have settings of their own. */
  readonly type?: string;
  readonly weight: number;
  readonly direction?: Direction;
  readonly symmetric?: boolean;
  readonly text?: Source | readonly Source[];
  readonly [setting: string]: unknown;
}

type Direction = "reference||model" | "model||reference";

/** A text that a regularizer works on, as a configuration writes it. Unless set: the completions. */
type Source =
  | "completions"
  | { readonly samples: number; readonly batch_size: number }
  | { readonly file: string; readonly batch_size: number };

export function nameOf({ type, weight, direction, symmetric, text, ...own }: Regularizer): string {
  if (weight === 0) return "no KL";
  const divergence = symmetric ? "JS" : `KL(${(direction ?? "reference||model").replace("||", "‖")})`;
  const what = type === undefined ? divergence : [type, ...Object.values(own)].join(" ");
  const sources = text === undefined ? [] : [text].flat();
  const texts = [...new Set(sources.map(nameOfSource))];
  return `${what} · ${weight}${texts.length > 0 ? ` · ${texts.join(" and ")}` : ""}`;
}

function nameOfSource(source: Source): string {
  if (typeof source === "string") return source;
  if ("samples" in source) return `anchor of ${source.samples} samples, ${source.batch_size} a step`;
  return source.file === STORIES
    ? `anchor of 100 stories, ${source.batch_size} a step`
    : `anchor of other questions, ${source.batch_size} of each skill a step`;
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

const free: Regularizer = { weight: 0, direction: "reference||model" };
const reverse = (weight: number): Regularizer => ({ weight, direction: "reference||model" });
const forward = (weight: number): Regularizer => ({ weight, direction: "model||reference" });
const js = (weight: number): Regularizer => ({ weight, symmetric: true });
const anchor = (
  weight: number,
  samples = 800,
  batch_size = 16,
  direction: Direction = "reference||model",
): Regularizer => ({
  weight,
  direction,
  text: { samples, batch_size },
});

const on = (weight: number, ...sources: Source[]): Regularizer => ({
  weight,
  direction: "reference||model",
  text: sources,
});

const STORIES = "data/small-world/stories.jsonl";
const stories: Source = { file: STORIES, batch_size: 16 };
const samples: Source = { samples: 800, batch_size: 16 };
/** Questions and answers of the skills that are not asked in the test. */
const questions: Source[] = [
  ...["capitals", "opposites", "spanish", "category", "past", "addition", "subtraction", "reversal"],
].map((skill) => ({ file: `data/small-world/skills/${skill}.dev.jsonl`, batch_size: 2 }));

/** What the shipped quickstart compares, and under what. */
const chosen = { seeds: [1, 2, 3], learning_rates: [5e-3], steps: 400 };

/** What is run, by name. */
export const SETS: Readonly<Record<string, readonly Setting[]>> = {
  /** How learning rate and length were chosen, on the development split. */
  "learning-rates": settings([free, reverse(0.1), reverse(0.2), reverse(0.3), anchor(1)], {
    learning_rates: [3e-3, 5e-3, 7e-3, 1e-2],
  }),
  finalists: [
    ...settings([free, reverse(0.3), reverse(0.5), anchor(1)], { seeds: [1, 2], learning_rates: [6e-3] }),
    ...settings([free, reverse(0.3), reverse(0.5), anchor(1)], { ...chosen, seeds: [1, 2] }),
  ],
  quickstart: settings([free, reverse(0.5), anchor(1)], chosen),
  weights: settings(
    [0.01, 0.1, 0.5, 1].flatMap((weight) => [reverse(weight), forward(weight)]),
    chosen,
  ),
  anchors: settings([anchor(0.1), anchor(3), anchor(1, 200, 8), anchor(1, 800, 16, "model||reference")], chosen),
  texts: settings(
    [
      on(1, stories),
      on(1, ...questions),
      on(1, "completions", samples),
      on(1, "completions", stories),
      on(1, samples, stories),
    ],
    chosen,
  ),
  /** What the other kinds of regularizers do, on the development split. */
  family: settings(
    [
      { type: "jensen_shannon", weight: 1 },
      { type: "jensen_shannon", weight: 3 },
      { type: "jensen_shannon", weight: 4, text: { samples: 800, batch_size: 16 } },
      { type: "entropy", mode: "bonus", weight: 0.1 },
      { type: "entropy", mode: "bonus", weight: 0.5 },
      { type: "consistency", view: "replace", weight: 0.3 },
      { type: "consistency", view: "replace", weight: 1 },
      { type: "l2", weight: 1e-3 },
      { type: "l2", weight: 1e-2 },
      { type: "l2", weight: 3e-2 },
      { type: "l1", factors: "B", weight: 1e-3 },
      { type: "orthogonality", weight: 0.1 },
    ],
    {},
  ),
  /** Those of them that kept most, on the test split. */
  "family-chosen": settings(
    [
      { type: "l2", weight: 1e-3 },
      { type: "l2", weight: 1e-2 },
      { type: "consistency", view: "replace", weight: 1 },
      { type: "jensen_shannon", weight: 3 },
    ],
    chosen,
  ),
  symmetric: settings([js(0.1), js(0.5), js(1)], chosen),
};
