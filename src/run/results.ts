import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { writeFileAtomic } from "../common/atomic-file.ts";
import { shownPath } from "../common/shown-path.ts";
import { version } from "../common/version.ts";
import { EVALUATION_METRICS, HEADLINES, STEP_METRICS } from "../config/metrics.ts";
import type { Config } from "../config/schema.ts";
import type { Evaluation } from "../drift/evaluation.ts";
import { type Summary, type SummaryRow, summarize } from "../drift/summary.ts";
import { writeCard } from "./adapter-card.ts";
import { describeRegularizers, runSettings } from "./describe.ts";
import type { RunResult } from "./run.ts";

/** A finished run under the name that tables give it. */
export interface NamedRun {
  readonly name: string;
  readonly result: RunResult;
}

/** What `summary.json` holds of runs on one base. */
export type RunSummary = Summary & {
  /** The base: its hub name or folder, the commit of a hub name, and `sha256:…` of its configuration and weights. */
  readonly model: { readonly name: string; readonly revision: string | null; readonly digest: string | null };
  /** The adapter that training started from; null for a fresh one. */
  readonly start: RunResult["start"];
  readonly settings: Readonly<Record<string, string | number>>;
  readonly seed: number;
  /** ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  /** How long the runs were to be, `train.steps` or `train.epochs`, if they came to their end; null for what was interrupted. */
  readonly completed: Pick<Config["train"], "steps" | "epochs"> | null;
  readonly versions: Readonly<Record<"klamp" | "node" | "onnxruntime-node", string>>;
};

/** Writes `summary.json` of runs on one base into `folder`, and returns it. */
export function writeSummary(folder: string, runs: readonly NamedRun[], started: Date): RunSummary {
  const [{ result: first }] = runs as [NamedRun];
  const { train, optimizer, lora, model } = first.config;
  const { engine } = first;
  const cut = runs.filter(({ result }) => result.interrupted);
  const measured = summarize(first.base, finishedRuns(runs));
  const sentences = cut.map(
    ({ name, result: { rows, steps } }) =>
      `${capitalized(name)} was interrupted after step ${rows.length} of ${steps}.`,
  );
  const summary = {
    model: {
      name: engine.model.name,
      revision: engine.model.revision ?? null,
      digest: engine.stores?.digest() ?? null,
    },
    start: first.start,
    ...measured,
    conclusion: [measured.conclusion, ...sentences].filter((sentence) => sentence !== "").join(" "),
    settings: {
      model,
      steps: first.rows.length,
      ...(first.bestStep !== null && { best_step: first.bestStep }),
      batch_size: train.batch_size,
      learning_rate: optimizer.learning_rate,
      schedule: optimizer.schedule,
      rank: lora.rank!,
      alpha: lora.alpha!,
    },
    seed: train.seed,
    started: started.toISOString(),
    seconds: (Date.now() - started.getTime()) / 1000,
    completed: cut.length > 0 ? null : { steps: train.steps, epochs: train.epochs },
    versions: {
      klamp: version(),
      node: process.versions.node,
      "onnxruntime-node": dependencyVersion("onnxruntime-node"),
    },
  };
  writeFileAtomic(join(folder, "summary.json"), `${JSON.stringify(summary, null, 2)}\n`);
  for (const { name, result } of runs) {
    const own = summary.runs.filter((run) => run.name === name);
    const facts = {
      config: result.config,
      model: result.engine.model,
      steps: result.rows.length,
      trainedOn: result.trainedOn,
      measured: own.length > 0 ? { ...summary, runs: own } : null,
    };
    writeCard(join(result.config.output, "adapter"), facts);
  }
  return summary;
}

/** What a report shows of runs on one base. */
export function reportData(summary: RunSummary, runs: readonly NamedRun[], title: string) {
  const [{ result: first }] = runs as [NamedRun];
  const evaluations = [{ name: "base", evaluation: first.base }, ...finishedRuns(runs)];
  const { settings, versions } = summary;
  return {
    title,
    created: summary.started,
    conclusion: [summary.conclusion],
    facts: {
      ...Object.fromEntries(Object.entries(settings).map(([key, value]) => [key.replaceAll("_", " "), value])),
      model: isAbsolute(first.config.model) ? shownPath(first.config.model) : first.config.model,
      ...(summary.model.revision !== null && { revision: summary.model.revision }),
      seed: summary.seed,
      seconds: Math.round(summary.seconds),
      klamp: versions.klamp,
      "Node.js": versions.node,
      "ONNX Runtime": versions["onnxruntime-node"],
    },
    columns: STEP_METRICS,
    evaluations: EVALUATION_METRICS,
    measures: HEADLINES,
    ...scoresOf(summary, first.base, evaluations.slice(1)),
    runs: runs.map(({ name, result }) => ({
      name,
      description: describeRegularizers(result.config.regularizers),
      metrics: result.rows,
      config: readFileSync(join(result.config.output, "config.yaml"), "utf8"),
    })),
    samples: first.base.samples.map(({ set, prompt, expected }, i) => ({
      skill: set,
      prompt,
      expected,
      completions: Object.fromEntries(
        evaluations.map(({ name, evaluation }) => {
          const { text, right } = evaluation.samples[i]!;
          return [name, { text, right }];
        }),
      ),
    })),
  };
}

/** Those that were not interrupted, with what sets each one apart. */
function finishedRuns(runs: readonly NamedRun[]) {
  return runs.flatMap(({ name, result }) =>
    result.evaluation
      ? [
          {
            name,
            ...runSettings(result.config, result.rows),
            cross_entropy: result.rows.at(-1)!.cross_entropy,
            evaluation: result.evaluation,
          },
        ]
      : [],
  );
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function scoresOf(
  { base, runs }: Summary,
  before: Evaluation,
  finished: readonly { readonly evaluation: Evaluation }[],
) {
  if (!before.task || Object.keys(before.skills).length === 0) return {};
  const column = (name: string, row: SummaryRow, { skills, task }: Evaluation) => ({
    name,
    skills,
    task: task!,
    retention: row.retention ?? 0,
    drift: row.drift,
  });
  const counts = [...new Set(Object.values(before.skills).map(({ rows }) => rows))].join(" or ");
  return {
    scores: {
      skills: Object.keys(before.skills),
      task: "new task",
      columns: [column("base", base, before), ...runs.map((run, i) => column(run.name, run, finished[i]!.evaluation))],
      notes: [
        `Exact match of greedy answers: ${counts} questions a skill and ${before.task.rows} of the new task.`,
        "Drift is KL(reference‖model) in nats per token, on text drawn from the base.",
      ],
    },
  };
}

function dependencyVersion(name: string): string {
  const path = new URL(import.meta.resolve(`${name}/package.json`));
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}
