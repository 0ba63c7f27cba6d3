import { resolve } from "node:path";
import type { Command } from "commander";
import { UserError } from "../common/errors.ts";
import { shownPath } from "../common/shown-path.ts";
import { loadConfig } from "../config/file.ts";
import type { Config } from "../config/schema.ts";
import { costLines, isFinished, nextFreeFolder, runConfigFile, runLeft, runTraining, trainedBy } from "../run/index.ts";
import { type Follow, followRun } from "./follow.ts";
import { writeResults } from "./results.ts";
import type { Shell } from "./shell.ts";
import { formatSummary } from "./table.ts";

const HELP = `
A configuration needs a model and data; klamp help config shows every other setting and its default:

  model: ./models/base                # a Hugging Face folder, or a hub name: ORG/NAME[@REVISION]
  data: { train: ./train.jsonl }
  regularizers:
    - { type: kl_divergence }         # hold the model to its base
  output: ./runs/first

Data is JSON Lines, a JSON list, CSV, one of these in gzip, or Parquet, each line one of
  {"prompt": "…", "completion": "…"}                 the loss counts the completion
  {"messages": [{"role": "…", "content": "…"}, …]}   the loss counts the assistant's turns
  {"text": "…"}                                      the loss counts every token
  {"tokens": [1, 2, …], "weights": [0, 1, …]}        tokenized, with the weight of each prediction
  {"conversations": [{"from", "value"}, …]}          ShareGPT, as messages
  {"instruction", "input", "output"}                 Alpaca, as messages
A "weight" beside these multiplies the line's loss. docs/data.md has the details.

The run folder gets config.yaml, metrics.jsonl (klamp help metrics), adapter/ (PEFT's layout),
summary.json and report.html; worst-tokens.jsonl if train.worst_tokens is set; anchors.jsonl with
the samples of anchors; checkpoint-STEP/ (train.save_every, train.keep), from which a run that ended
early, by a signal, an error or a power cut, goes on to the same result: klamp train --resume RUN.
Ctrl-C finishes the step, saves all that there is and exits with code 130.

Examples:
  klamp train --config config.yaml
  klamp train --config config.yaml --set train.steps=50 --set output=./runs/short
  klamp train --config config.yaml --set 'regularizers.0.direction=model||reference'
  klamp train --resume ./runs/first
`;

export function registerTrain(program: Command, shell: Shell): void {
  program
    .command("train")
    .description("fine-tune a model under KL regularizers, and measure what it learned and kept")
    .option("--config <file>", "YAML configuration; paths in it count from its folder")
    .option("--set <key=value>", "change one setting, as often as needed", collect)
    .addHelpText("after", HELP)
    .option(
      "--resume <run>",
      "go on with a run that ended early, from its newest checkpoint; with more --set train.steps also with a finished one",
    )
    .option("--dry-run", "check everything and say what the run will cost, and stop there")
    .action(async ({ config: file, set, resume, dryRun }: Options) => {
      if (file === undefined && resume === undefined) {
        throw new UserError(
          "train needs a configuration, as in `klamp train --config config.yaml`; `klamp train --help` shows one.",
        );
      }
      const started = new Date();
      const run = await whichRun(file, set, resume, shell);
      if (!run) return;
      const follow = followRun(shell);
      try {
        if (dryRun) return await tryRun(run, follow);
        const result = await runTraining(run.config, { ...follow, resume: run.resume });
        follow.done();
        const folder = shownPath(run.config.output);
        const summary = writeResults(run.config.output, [{ name: "trained", result }], "Fine-tuning run", started);
        if (result.interrupted) {
          follow.note(
            `interrupted after step ${result.rows.length} of ${result.steps}; the adapter is in ${folder}/adapter, a report in ${folder}/report.html\ngo on with: klamp train --resume ${folder}`,
          );
        } else {
          shell.out.write(
            `\n${formatSummary(summary)}${summary.conclusion}\n\nadapter  ${folder}/adapter\nreport   ${folder}/report.html\n`,
          );
        }
        await result.engine.close();
      } finally {
        follow.done();
      }
    });
}

interface Options {
  readonly config?: string;
  readonly set?: string[];
  readonly resume?: string;
  readonly dryRun?: boolean;
}

/** All of a run that comes before its first work; nothing is written. */
async function tryRun({ config, resume }: AskedRun, follow: Follow): Promise<void> {
  const enough = new AbortController();
  const onCosts: Follow["onCosts"] = (costs) => {
    follow.note(costLines(costs));
    enough.abort();
  };
  const signal = AbortSignal.any([follow.signal, enough.signal]);
  await runTraining(config, { ...follow, onCosts, signal, resume }).catch((error: unknown) => {
    if (error !== enough.signal.reason || !enough.signal.aborted) throw error;
  });
}

interface AskedRun {
  readonly config: Config;
  readonly resume: boolean;
}

/** Which run is asked for: a new one, or the rest of one that ended early. Null when there is nothing to do. */
async function whichRun(
  file: string | undefined,
  set: readonly string[] | undefined,
  resume: string | undefined,
  { ask, err }: Shell,
): Promise<AskedRun | null> {
  if (resume === undefined) {
    const config = loadConfig(file!, set);
    const folder = shownPath(config.output);
    const owner = trainedBy(config.output);
    if (owner !== null) {
      throw new UserError(
        `the run in ${folder} is being trained by ${owner}: choose another output (--set output=${nextFreeFolder(folder)})`,
      );
    }
    const left = runLeft(config.output);
    if (left === null) return { config, resume: false };
    const what = `${folder} holds a run that ended early, ${left}`;
    const answer = await ask?.(`${what}; go on with it? [Y/n] `);
    if (answer !== undefined && /^(y(es)?)?$/i.test(answer.trim())) return { config, resume: true };
    throw new UserError(
      `${what}: go on with it by \`klamp train --resume ${folder}\`, or choose another output (--set output=${nextFreeFolder(folder)})`,
    );
  }
  const output = resolve(resume);
  const config = { ...loadConfig(file ?? runConfigFile(output), set), output };
  if (isFinished(config, output)) {
    err.write(
      `the run in ${shownPath(output)} is finished; for more steps of the same, give it more: --set train.steps=N\n`,
    );
    return null;
  }
  return { config, resume: true };
}

/** Collects the values of an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
