import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Config } from "../train/config.ts";
import { loadConfig } from "../train/config-file.ts";
import { runTraining } from "../train/run.ts";
import { nextFreeFolder } from "../train/run-folder.ts";
import { describeRegularizers } from "./describe.ts";
import { followRun } from "./follow.ts";
import { type NamedRun, writeResults } from "./results.ts";
import type { Shell } from "./shell.ts";
import { formatSummary } from "./table.ts";

/** The shipped world: a base model, its skills, and a new task. */
const CONFIG = fileURLToPath(new URL("../../data/small-world/quickstart.yaml", import.meta.url));

/** The runs of the quickstart: all settings the same but for what holds the model. */
const RUNS = ["without KL", "with KL", "with anchor"] as const;

const HELP = `
Teaches the shipped base model to answer questions about trades in JSON, three times: without KL, with
KL(reference‖model) on the answers it is taught, and with the same on an anchor of samples drawn from the base.
Then shows what each run learned, and what it forgot.

Examples:
  klamp quickstart
  klamp quickstart --seed 2
  klamp quickstart --set optimizer.learning_rate=1e-3
`;

export function registerQuickstart(program: Command, shell: Shell): void {
  program
    .command("quickstart")
    .description("the whole story on a small model that is shipped, in a few minutes")
    .option("--seed <n>", "seed of all three runs")
    .option("--output <folder>", "where to write (default: runs/quickstart, or -2, -3, … if it exists)")
    .option(
      "--set <key=value>",
      "change one setting of all three runs, as often as needed",
      (value, before: string[]) => [...before, value],
      [],
    )
    .addHelpText("after", HELP)
    .action(async ({ seed, output, set }: { seed?: string; output?: string; set: string[] }) => {
      const started = new Date();
      const config = loadConfig(CONFIG, [...(seed === undefined ? [] : [`train.seed=${seed}`]), ...set]);
      const folder = output ?? nextFreeFolder(join("runs", "quickstart"));
      const shown = relative(process.cwd(), folder) || ".";
      mkdirSync(folder, { recursive: true });
      const follow = followRun(shell);
      const runs: NamedRun[] = [];
      try {
        for (const [i, name] of RUNS.entries()) {
          const own = variant(config, i, join(process.cwd(), folder, name.replaceAll(" ", "-")));
          shell.err.write(`\n${name}: ${describeRegularizers(own.regularizers)}\n`);
          const before = runs[0]?.result;
          const result = await runTraining(own, { ...follow, ...(before && { before }) });
          follow.done();
          runs.push({ name, result });
          if (result.interrupted) break;
        }
        const finished = runs.filter(({ result }) => !result.interrupted);
        if (finished.length < runs.length) shell.err.write("interrupted; what was trained is saved\n");
        if (finished.length === 0) return;
        const summary = writeResults(folder, finished, "A new task, and what it cost", started);
        shell.out.write(
          `\n${formatSummary(summary)}\n${summary.conclusion}\n\n` +
            `Right answers in percent, in brackets when the right words are enough; drift in nats per token on samples of the base.\n\n` +
            `report    ${shown}/report.html\nadapters  ${shown}/*/adapter\n` +
            "next      copy a run's config.yaml, name your own model and data in it, and: klamp train --config config.yaml\n",
        );
      } finally {
        follow.done();
        await runs[0]?.result.model.close();
      }
    });
}

/** Run `i` has the regularizer `i` of the shipped configuration. */
function variant(config: Config, i: number, output: string): Config {
  return { ...config, output, regularizers: [config.regularizers[i]!] };
}
