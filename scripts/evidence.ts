/**
 * The trade-off in the shipped world, measured: trains under many settings, scores each run, and appends what it finds
 * to docs/evidence.jsonl. What is there already is not run again.
 *
 *     npm run evidence -- --split dev --set exploration      settings are chosen on the development split
 *     npm run evidence -- --split test --set final           and reported on the test split
 *     npm run evidence                                        writes the tables of docs/evidence.md and README.md anew
 *
 * Two processes may share the work: --shard 0/2 and --shard 1/2.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../src/common/atomic-file.ts";
import { loadConfig } from "../src/config/file.ts";
import { summarize } from "../src/drift/summary.ts";
import { runSettings } from "../src/run/describe.ts";
import { type RunResult, runTraining } from "../src/run/run.ts";
import { type EvidenceLine, identity, RECORD, readRecord } from "./evidence/record.ts";
import { type Regularizer, SETS, type Setting } from "./evidence/settings.ts";
import { fillTables } from "./evidence/tables.ts";

const { values: options } = parseArgs({
  options: {
    split: { type: "string", default: "dev" },
    set: { type: "string" },
    shard: { type: "string", default: "0/1" },
    threads: { type: "string", default: "1" },
  },
});

if (options.set) await measure(SETS[options.set] ?? [], options.split);
else {
  for (const path of ["docs/evidence.md", "README.md"]) {
    const text = readFileSync(path, "utf8");
    writeFileAtomic(path, fillTables(text, readRecord()));
  }
}

async function measure(settings: readonly Setting[], split: string): Promise<void> {
  if (settings.length === 0) throw new Error(`--set ${options.set} is none of ${Object.keys(SETS).join(", ")}`);
  const [shard, shards] = options.shard.split("/").map(Number) as [number, number];
  const folder = mkdtempSync(join(tmpdir(), "klamp-evidence-"));
  let first: RunResult | undefined;
  for (const [i, setting] of settings.entries()) {
    if (i % shards !== shard || readRecord().some((line) => identity(line, line.split) === identity(setting, split)))
      continue;
    const { seed, learning_rate, alpha, steps } = setting;
    const shipped = loadConfig("data/small-world/quickstart.yaml", [
      `optimizer.learning_rate=${learning_rate}`,
      `train.seed=${seed}`,
      `train.steps=${steps}`,
      `lora.alpha=${alpha}`,
      `regularizers=[${JSON.stringify(configured(setting.regularizer))}]`,
      `engine.threads=${options.threads}`,
    ]);
    const of = (path: string) =>
      path.replace(".test.jsonl", `.${split}.jsonl`).replace("/test.jsonl", `/${split}.jsonl`);
    const { task, skills, ...rest } = shipped.evaluate;
    const evaluate = {
      ...rest,
      task: of(task!),
      skills: Object.fromEntries(Object.entries(skills).map(([name, path]) => [name, of(path)])),
    };
    const config = { ...shipped, evaluate, output: join(folder, `${i}`) };
    const result = await runTraining(config, first ? { before: first } : {});
    first ??= result;
    const { runs, base } = summarize(result.base, [
      { name: setting.name, ...runSettings(result.config), evaluation: result.evaluation! },
    ]);
    const line: EvidenceLine = { ...setting, split, seconds: result.seconds, result: runs[0]!, base };
    appendFileSync(RECORD, `${JSON.stringify(line)}\n`);
    const { retention, task: learned, drift } = line.result;
    console.error(
      `${split} seed ${seed} lr ${learning_rate} alpha ${alpha}  ${setting.name.padEnd(44)} kept ${(100 * retention!).toFixed(1)} %  task ${(100 * learned!).toFixed(1)} %  drift ${drift!.toFixed(3)}  ${result.seconds.toFixed(0)} s`,
    );
  }
  await first?.engine.close();
  rmSync(folder, { recursive: true });
}

/** A setting names neither the type that most have, nor the text that most are on. */
function configured(regularizer: Regularizer) {
  return regularizer.type === undefined ? { type: "kl_divergence", text: "completions", ...regularizer } : regularizer;
}
