/**
 * 200 steps of 4 texts on SmolLM2-135M-Instruct, with the default drift and some questions: that a real model trains on this
 * machine, how fast, with how much memory, and how long measuring takes beside it.
 *
 *     npm run test:real -- [--steps 200]
 *
 * The model is made by `node scripts/interop/setup.mjs`; the data are the small world's questions, several to a chat.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadConfig } from "../../src/config/file.ts";
import { collectRarely } from "../../src/run/heap.ts";
import { runTraining } from "../../src/run/index.ts";

const { values } = parseArgs({ options: { steps: { type: "string", default: "200" } } });
const root = fileURLToPath(new URL("../../", import.meta.url));
const model = join(root, ".models/SmolLM2-135M-Instruct");
if (!existsSync(model)) throw new Error(`${model} is missing: node scripts/interop/setup.mjs makes it`);
collectRarely();

const read = (name: string) =>
  readFileSync(join(root, "data/small-world", name), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { prompt: string; completion: string });
const chat = (lines: readonly { prompt: string; completion: string }[]) => ({
  messages: lines.flatMap(({ prompt, completion }) => [
    { role: "user", content: prompt.trim() },
    { role: "assistant", content: completion.trim() },
  ]),
});
const lines = read("task/train.jsonl");
const folder = mkdtempSync(join(tmpdir(), "klamp-real-"));
const write = (name: string, rows: readonly object[]) =>
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
// From one question to five a chat: some 50 to 256 tokens.
write(
  "train.jsonl",
  lines.map((_, i) => chat(Array.from({ length: 1 + (i % 5) }, (_, k) => lines[(i + k) % lines.length]!))),
);
write(
  "task.jsonl",
  read("task/test.jsonl")
    .slice(0, 40)
    .map((line) => chat([line])),
);
const config = {
  model,
  data: { train: "./train.jsonl", max_length: 256, too_long: "truncate" },
  regularizers: [{ text: "completions", weight: 0.3 }],
  train: { steps: Number(values.steps), batch_size: 4 },
  optimizer: { learning_rate: 1e-3 },
  evaluate: { task: "./task.jsonl" },
  output: "./run",
};
writeFileSync(join(folder, "config.yaml"), JSON.stringify(config));

const started = performance.now();
const since = () => (performance.now() - started) / 1000;
const note = (text: string) => console.log(`${since().toFixed(0).padStart(5)} s  ${text}`);
try {
  const { rows, seconds, evaluation, base, engine } = await runTraining(loadConfig(join(folder, "config.yaml")), {
    note,
  });
  await engine.close();
  const all = since();
  const measuring = all - seconds;
  const speed = rows.map((row) => row.tokens_per_second!).sort((a, b) => a - b)[rows.length >> 1]!;
  console.log(`steps       ${rows.length} in ${seconds.toFixed(0)} s, median ${speed.toFixed(0)} tokens/s`);
  console.log(
    `the rest    ${measuring.toFixed(0)} s, ${((100 * measuring) / seconds).toFixed(0)} % of the steps' time`,
  );
  console.log(`peak memory ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(1)} GB`);
  console.log(
    `new task    ${base.task!.strict} to ${evaluation!.task!.strict}, drift ${evaluation!.drift?.toFixed(3)}`,
  );
  if (rows.some(({ loss }) => !Number.isFinite(loss))) throw new Error("a loss is not finite");
} finally {
  rmSync(folder, { recursive: true });
}
