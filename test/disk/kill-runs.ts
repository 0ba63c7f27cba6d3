import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createRandom } from "../../src/common/random.ts";
import { goOn, matricesOf, watchedTrain } from "./runs.ts";

/**
 * @file Kills runs on the shipped model again and again, at random moments and in the middle of random operations on files, and
 * lets them go on: npm run test:kill -- --runs 100. Each must end with the bytes of the run that was left alone.
 */

const { values } = parseArgs({ options: { runs: { type: "string", default: "100" }, seed: { type: "string" } } });
const runs = Number(values.runs);
const seed = Number(values.seed ?? Date.now());
const random = createRandom(seed);

const shipped = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "klamp-kill-"));
const config = join(folder, "config.yaml");
const CONFIG = {
  model: shipped("models/small-world"),
  data: { train: shipped("data/small-world/task/train.jsonl") },
  train: { steps: 40, batch_size: 4, save_every: 6 },
  lora: { dropout: 0.1 },
  regularizers: [
    { weight: { controller: "adaptive", target: 0.01 }, text: { samples: 32, batch_size: 4 } },
    { name: "synced", weight: 0.1, reference: { synced: { every: 7 } }, text: "completions" },
  ],
  evaluate: { task: shipped("data/small-world/task/test.jsonl"), drift_samples: 8, max_tokens: 16 },
  output: "./run",
};
writeFileSync(config, JSON.stringify(CONFIG));
const run = join(folder, "run");

const started = performance.now();
const whole = await watchedTrain(run, ["--config", config]);
if (whole.code !== 0) throw new Error(whole.err);
const duration = performance.now() - started;
const expected = matricesOf(run);
console.log(
  `seed ${seed}; a run has ${whole.operations.length} operations on files and takes ${duration.toFixed(0)} ms`,
);

let [sound, kills] = [0, 0];
for (let n = 1; n <= runs; n++) {
  rmSync(run, { recursive: true, force: true });
  rmSync(`${run}.trace`, { force: true });
  const said: string[] = [];
  for (let tries = 1; ; tries++) {
    // The first third of the time is spent on starting; later tries have less to do.
    const killAt = 1 + Math.floor(random() * whole.operations.length);
    const after = duration * (0.2 + 0.9 * random());
    const [atOperation, inTime] = tries > 6 ? [false, false] : random() < 0.5 ? [true, false] : [false, true];
    const { code, err } = await watchedTrain(
      run,
      goOn(run, config),
      atOperation ? { killAt } : {},
      inTime ? after : undefined,
    );
    said.push(err.trim().split("\n").at(-1)!);
    if (code === null) {
      kills++;
      continue;
    }
    const same = code === 0 && existsSync(join(run, "summary.json")) && matricesOf(run) === expected;
    if (same) sound++;
    else console.log(`run ${n} ended with code ${code} after ${tries} tries:\n  ${said.join("\n  ")}`);
    break;
  }
  if (n % 10 === 0 || n === runs) console.log(`${sound} of ${n} runs ended with the same bytes, after ${kills} kills`);
}
rmSync(folder, { recursive: true });
process.exitCode = sound === runs ? 0 : 1;
