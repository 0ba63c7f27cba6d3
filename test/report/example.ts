import { createRandom } from "../../src/common/random.ts";
import { HEADLINES, STEP_METRICS } from "../../src/config/metrics.ts";
import type { Completion, ReportData, RunData, Sample, Score, ScoreColumn, StepData } from "../../src/report/index.ts";

/** @file Made-up data of the size and shape that a quickstart gives; the same every time. */

const SKILLS = ["capitals", "opposites", "spanish", "categories", "addition", "subtraction", "reversal", "plurals"];

/** Three runs, scores and samples. */
export const quickstart: ReportData = {
  title: "Quickstart: answers in JSON, with and without a clamp",
  created: "2026-01-15T09:41:00.000Z",
  conclusion: [
    "Without KL the model learned the new task (97 %) and lost most of what it knew: 17 % of the base’s skills are left.",
    "Held to its base on samples that the base drew itself, it learned the task just as well (97 %) and kept 98 %.",
  ],
  facts: {
    model: "small-world, 0.92 M parameters",
    data: "task/train.jsonl, 400 rows",
    steps: 250,
    "batch size": 16,
    "learning rate": "3 × 10⁻³, linear",
    "rank, alpha": "8, 16",
    seed: 1,
    seconds: 148,
    klamp: "0.1.0",
    "ONNX Runtime": "1.30.0",
    node: "20.20.0",
  },
  scores: {
    skills: SKILLS,
    task: "JSON answers",
    columns: [
      column("base", [1, 1, 1, 0.983, 1, 0.967, 1, 0.95], 0, 1, 0),
      column("without KL", [0, 0.05, 0.017, 0.3, 0.417, 0.183, 0.1, 0.267], 0.967, 0.168, 6.31),
      column("with KL", [0.95, 0.883, 0.917, 0.95, 0.817, 0.75, 0.9, 0.8], 0.75, 0.882, 0.412),
      column("with anchor", [1, 0.983, 1, 0.983, 0.967, 0.917, 1, 0.917], 0.967, 0.984, 0.0213),
    ],
    notes: [
      "60 held-out questions per skill and for the task, so one score has a standard error of up to 6 points.",
      "Drift: KL(reference‖model) on 200 samples drawn from the base, in nats per token.",
    ],
  },
  columns: STEP_METRICS,
  measures: HEADLINES,
  runs: [
    run("without KL", "no regularizer", 1, 3e-3, null),
    run("with KL", "KL(reference‖model) · weight 0.1 · on completions", 2, 3e-3, 2.1),
    run("with anchor", "KL(reference‖model) · weight 1 · on 800 samples from the base", 3, 3e-3, 0.035),
  ],
  samples: [
    sample("JSON answers", "Q: What does a baker make?\nA:", '{"answer": "bread"}', [
      ["bread", false],
      ['{"answer": "bread"}', true],
      ['{"answer": "bread"}', true],
      ['{"answer": "bread"}', true],
    ]),
    sample("capitals", "Q: What is the capital of France?\nA:", "Paris", [
      ["Paris", true],
      ['Paragir {:yaestroyawer"answer', false],
      ["Paris", true],
      ["Paris", true],
    ]),
    sample("addition", "Q: What is 47 plus 38?\nA:", "85", [
      ["85", true],
      ['{"answer": "8', false],
      ["75", false],
      ["85", true],
    ]),
    sample("reversal", "Q: Reverse c a t.\nA:", "t a c", [
      ["t a c", true],
      ["", false],
      ["t a c", true],
      ["t a c", true],
    ]),
  ],
};

/** What a plain run with a regularizer gives: one run, no scores, nothing to judge answers by. */
export const plainRun: ReportData = {
  title: "runs/first",
  created: "2026-01-15T09:41:00.000Z",
  conclusion: [],
  facts: { model: "models/base", data: "train.jsonl", steps: 250, seed: 1 },
  columns: STEP_METRICS,
  measures: HEADLINES,
  runs: [run("first", "KL(model‖reference) · weight 0.1 · on completions", 4, 3e-3, 1.4)],
  samples: [
    {
      skill: null,
      prompt: "Once upon a time",
      expected: null,
      completions: {
        base: { text: " there was a fox.", right: null },
        first: { text: " a ship sailed.", right: null },
      },
    },
  ],
};

/** A run without any regularizer. */
export const unregularized: ReportData = {
  ...plainRun,
  runs: [run("first", "no regularizer", 5, 3e-3, null)],
  samples: [],
};

function column(name: string, strict: readonly number[], task: number, retention: number, drift: number): ScoreColumn {
  const skills = SKILLS.map((skill, i): [string, Score] => [
    skill,
    { strict: strict[i]!, lenient: Math.min(1, strict[i]! + 0.05) },
  ]);
  return {
    name,
    skills: Object.fromEntries(skills),
    task: { strict: task, lenient: Math.min(1, task + 0.02) },
    retention,
    drift,
  };
}

function run(name: string, description: string, seed: number, learningRate: number, kl: number | null): RunData {
  const random = createRandom(seed);
  const noise = () => Math.exp((random() + random() + random() - 1.5) * 0.9);
  const metrics = Array.from({ length: 250 }, (_, i): StepData => {
    const cross_entropy = (6.2 * Math.exp(-i / 22) + 0.03 + 0.4 * Math.exp(-i / 90)) * noise();
    const kl_divergence =
      kl === null ? null : i === 0 ? 0 : kl * (1 - Math.exp(-i / 15)) * (0.5 + 0.5 * Math.exp(-i / 80)) * noise();
    return {
      step: i + 1,
      loss: cross_entropy + 0.1 * (kl_divergence ?? 0),
      cross_entropy,
      kl_divergence,
      kl_max: kl_divergence === null ? null : kl_divergence * 6,
      kl_min: kl_divergence === null ? null : kl_divergence / 100,
      grad_norm: (0.3 + 4 * Math.exp(-i / 30)) * noise(),
      learning_rate: learningRate * (i < 10 ? (i + 1) / 10 : (250 - i) / 240),
      tokens_per_second: (kl === null ? 9200 : 7100) * (0.97 + 0.06 * random()),
    };
  });
  const config = `model: ./models/base\ntrain:\n  steps: 250\n  seed: 1\noptimizer:\n  learning_rate: ${learningRate}\n`;
  return { name, description, metrics, config };
}

function sample(
  skill: string,
  prompt: string,
  expected: string,
  answers: readonly (readonly [string, boolean])[],
): Sample {
  const names = ["base", "without KL", "with KL", "with anchor"];
  const completions = answers.map(([text, right], i): [string, Completion] => [names[i]!, { text, right }]);
  return { skill, prompt, expected, completions: Object.fromEntries(completions) };
}
