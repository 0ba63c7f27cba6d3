import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { UserError } from "../common/errors.ts";
import { shownPath } from "../common/shown-path.ts";
import { loadConfig } from "../config/file.ts";
import type { Config } from "../config/schema.ts";
import { describeRegularizers, type NamedRun, nextFreeFolder, refuseOutput, runTraining } from "../run/index.ts";
import { followRun } from "./follow.ts";
import { writeResults } from "./results.ts";
import type { Shell } from "./shell.ts";
import { formatSummary } from "./table.ts";
import { collect } from "./train.ts";

/** The shipped world: a base model, its skills, and a new task. */
const CONFIG = fileURLToPath(new URL("../../data/small-world/quickstart.yaml", import.meta.url));

/** The runs of the quickstart: all settings the same but for what holds the model. */
const RUNS = ["without KL", "with KL", "with anchor"] as const;

const HELP = `
Teaches the shipped base model to answer questions about trades in JSON, three times: without KL,
with KL(reference‖model) on the completions, and with the same on an anchor of samples drawn from
the base. Then shows what each run learned, and what it forgot.

Examples:
  klamp quickstart
  klamp quickstart --seed 2
  klamp quickstart --set optimizer.learning_rate=1e-3
`;

export function registerQuickstart(program: Command, shell: Shell): void {
  program
    .command("quickstart")
    .description("compare fine-tuning with and without KL on a small shipped model, in minutes")
    .option("--seed <n>", "seed of all three runs")
    .option("--output <folder>", "where to write (default: runs/quickstart, or -2, -3, … if it exists)")
    .option("--set <key=value>", "change one setting of all three runs, as often as needed", collect)
    .addHelpText("after", HELP)
    .action(async ({ seed, output, set = [] }: { seed?: string; output?: string; set?: string[] }) => {
      const started = new Date();
      const config = loadConfig(CONFIG, [...(seed === undefined ? [] : [`train.seed=${seed}`]), ...set]);
      const folder = resolve(output ?? nextFreeFolder(join("runs", "quickstart")));
      refuseOutput(folder);
      const shown = shownPath(folder);
      const follow = followRun(shell);
      const runs: NamedRun[] = [];
      try {
        for (const [i, name] of RUNS.entries()) {
          const own = variant(config, i, join(folder, name.replaceAll(" ", "-")));
          follow.note(`\n${name}: ${describeRegularizers(own.regularizers)}`);
          const before = runs[0]?.result;
          const result = await runTraining(own, { ...follow, ...(before && { before }) }).catch((error: unknown) => {
            // Interrupted before its first step: the runs before it are still worth showing.
            if (before && error === shell.signal.reason) return null;
            throw error;
          });
          follow.done();
          if (result) runs.push({ name, result });
          if (!result || result.interrupted) break;
        }
        const finished = runs.filter(({ result }) => !result.interrupted);
        if (runs.length === 0) throw shell.signal.reason;
        const summary = writeResults(folder, runs, "A new task, and what it cost", started);
        if (finished.length < RUNS.length) follow.note(`interrupted; completed steps are saved in ${shown}`);
        if (finished.length === 0) return;
        shell.out.write(
          `\n${formatSummary(summary)}${summary.conclusion}\n\n` +
            "Exact matches in percent, in brackets those that contain the answer; drift in nats per token on samples of the base.\n\n" +
            `report    ${shown}/report.html\nadapters  ${shown}/*/adapter\n` +
            "next      copy a run's config.yaml, set your own model and data, and: klamp train --config config.yaml\n",
        );
      } finally {
        follow.done();
        await runs[0]?.result.engine.close();
      }
    });
}

/** Run `i` has the regularizer `i` of the shipped configuration. */
function variant(config: Config, i: number, output: string): Config {
  const own = config.regularizers[i];
  if (!own) {
    throw new UserError(
      `the quickstart compares ${RUNS.length} runs with one regularizer each, found ${config.regularizers.length}: change their settings, as in --set regularizers.1.weight=0.3`,
    );
  }
  return { ...config, output, regularizers: [own] };
}
