import { readFileSync } from "node:fs";
import { join } from "node:path";
import { shownPath } from "../cli/shell.ts";
import { writeFileAtomic } from "../common/atomic-file.ts";
import { version } from "../common/version.ts";
import type { Evaluation } from "../drift/evaluation.ts";
import { type Summary, type SummaryRow, summarize } from "../drift/summary.ts";
import { type ReportData, writeReport } from "../report/index.ts";
import { describeRegularizers, runSettings } from "./describe.ts";
import type { RunResult } from "./run.ts";

/** A finished run under the name that tables give it. */
export interface NamedRun {
  readonly name: string;
  readonly result: RunResult;
}

/** Writes `summary.json` and `report.html` of runs on one base into `folder`, and returns the summary. */
export function writeResults(folder: string, runs: readonly NamedRun[], title: string, started: Date): Summary {
  const [{ result: first }] = runs as [NamedRun];
  const finished = runs.flatMap(({ name, result }) =>
    result.evaluation ? [{ name, ...runSettings(result.config, result.rows), evaluation: result.evaluation }] : [],
  );
  const summary = summarize(first.base, finished);
  const { train, optimizer, lora, model } = first.config;
  const settings = {
    model,
    steps: first.rows.length,
    batch_size: train.batch_size,
    learning_rate: optimizer.learning_rate,
    schedule: optimizer.schedule,
    rank: lora.rank,
    alpha: lora.alpha,
  };
  const seconds = (Date.now() - started.getTime()) / 1000;
  const record = {
    ...summary,
    settings,
    seed: train.seed,
    started: started.toISOString(),
    seconds,
    versions: {
      klamp: version(),
      node: process.versions.node,
      "onnxruntime-node": dependencyVersion("onnxruntime-node"),
    },
  };
  writeFileAtomic(join(folder, "summary.json"), `${JSON.stringify(record, null, 2)}\n`);
  writeReport(join(folder, "report.html"), {
    title,
    created: started.toISOString(),
    conclusion: [summary.conclusion],
    facts: {
      ...Object.fromEntries(
        Object.entries(settings).map(([key, value]) => [key.replaceAll("_", " "), value ?? "none"]),
      ),
      model: shownPath(model),
      seed: train.seed,
      seconds: Math.round(seconds),
      klamp: record.versions.klamp,
      "Node.js": record.versions.node,
      "ONNX Runtime": record.versions["onnxruntime-node"],
    },
    ...scoresOf(summary, first.base, finished),
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
        [{ name: "base", evaluation: first.base }, ...finished].map(({ name, evaluation }) => {
          const { text, right } = evaluation.samples[i]!;
          return [name, { text, right }];
        }),
      ),
    })),
  });
  return summary;
}

function scoresOf(
  { base, runs }: Summary,
  before: Evaluation,
  finished: readonly { readonly evaluation: Evaluation }[],
): Pick<ReportData, "scores"> {
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
