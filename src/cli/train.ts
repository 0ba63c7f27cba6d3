import type { Command } from "commander";
import { UserError } from "../common/errors.ts";
import { shownPath } from "../common/shown-path.ts";
import { loadConfig } from "../config/file.ts";
import { runTraining } from "../run/index.ts";
import { followRun } from "./follow.ts";
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
the samples of anchors. Ctrl-C finishes the step, saves the adapter and exits with code 130.

Examples:
  klamp train --config config.yaml
  klamp train --config config.yaml --set train.steps=50 --set output=./runs/short
  klamp train --config config.yaml --set 'regularizers.0.direction=model||reference'
`;

export function registerTrain(program: Command, shell: Shell): void {
  program
    .command("train")
    .description("fine-tune a model under KL regularizers, and measure what it learned and kept")
    .option("--config <file>", "YAML configuration; paths in it count from its folder")
    .option("--set <key=value>", "change one setting, as often as needed", collect)
    .addHelpText("after", HELP)
    .action(async ({ config: file, set }: { config?: string; set?: string[] }) => {
      if (file === undefined) {
        throw new UserError(
          "train needs a configuration, as in `klamp train --config config.yaml`; `klamp train --help` shows one.",
        );
      }
      const started = new Date();
      const config = loadConfig(file, set);
      const follow = followRun(shell);
      try {
        const result = await runTraining(config, follow);
        follow.done();
        const folder = shownPath(config.output);
        if (result.interrupted) {
          follow.note(`interrupted after step ${result.rows.length}; the adapter is in ${folder}/adapter`);
        } else {
          const summary = writeResults(config.output, [{ name: "trained", result }], "Fine-tuning run", started);
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

/** Collects the values of an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
