import type { Command } from "commander";
import { UserError } from "../common/errors.ts";
import { shownPath } from "../common/shown-path.ts";
import { exampleConfig } from "../config/example.ts";
import { loadConfig } from "../config/file.ts";
import { runTraining } from "../run/run.ts";
import { followRun } from "./follow.ts";
import { writeResults } from "./results.ts";
import type { Shell } from "./shell.ts";
import { formatSummary } from "./table.ts";

const HELP = () => `
Data is JSON Lines, each line one of
  {"prompt": "…", "completion": "…"}                     the loss counts the completion
  {"messages": [{"role": "…", "content": "…"}, …]}       the loss counts the assistant's turns
  {"text": "…"}                                          the loss counts every token
  {"tokens": [1, 2, …], "weights": [0, 1, …]}            already tokenized, the weight of predicting each token

A configuration with every setting and its default:

${exampleConfig()
  .trimEnd()
  .replace(/^(?=.)/gm, "  ")}

Examples:
  klamp train --config config.yaml
  klamp train --config config.yaml --set train.steps=50 --set output=./runs/short
  klamp train --config config.yaml --set regularizers.0.weight=0.3

The run folder gets config.yaml, metrics.jsonl, adapter/ (PEFT's layout), summary.json and report.html,
worst-tokens.jsonl where train.worst_tokens asks for it, and anchors.jsonl with the samples that anchors drew.
Ctrl-C finishes the step, saves the adapter and ends with exit code 130.
`;

export function registerTrain(program: Command, shell: Shell): void {
  program
    .command("train")
    .description("fine-tune a model folder under KL regularizers, and measure what it learned and kept")
    .option("--config <file>", "YAML configuration; paths in it count from its folder")
    .option("--set <key=value>", "change one setting, as often as needed", collect)
    .addHelpText("after", HELP)
    .action(async ({ config: file, set }: { config?: string; set?: string[] }) => {
      if (file === undefined) {
        throw new UserError(
          "train needs a configuration, as in `klamp train --config config.yaml`; `klamp train --help` shows one to copy.",
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

/** Gathers what is given to an option that may stand several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
