/**
 * KL(p‖q) and its gradient, klamp against what else there is: each contender is a process of its own with one thread on
 * one core, all are given the same numbers, asked in turn in one run, and held to the same result. Prints what the
 * machine could do at most, and how far from it everybody is.
 *
 *     npm run bench:divergence -- [--shapes 512x32000,256x151936] [--rounds 9] [--json FILE] [--alone: klamp without the others] [--write: docs/performance.md]
 *
 * PyTorch, NumPy and SciPy take part where a python3 has them; TensorFlow.js is installed into bench/divergence first.
 */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../src/common/atomic-file.ts";
import { openContenders } from "./divergence/contenders.ts";
import { race } from "./divergence/race.ts";
import { markdown, type Record, type ShapeResult, terminal } from "./divergence/tables.ts";

const { values: options } = parseArgs({
  options: {
    shapes: { type: "string", default: "512x32000,256x151936" },
    rounds: { type: "string", default: "9" },
    json: { type: "string" },
    alone: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
const rounds = Number(options.rounds);
const machine = { cpu: cpus()[0]!.model.trim(), cores: cpus().length, node: process.versions.node };
console.log(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`);

const shapes: ShapeResult[] = [];
for (const shape of options.shapes.split(",")) {
  const [rows, vocabulary] = shape.split("x").map(Number) as [number, number];
  const contenders = await openContenders(rows, vocabulary, options.alone);
  const result = { rows, vocabulary, found: await race(contenders, rounds) };
  for (const { close } of contenders) close();
  shapes.push(result);
  console.log(`\n${terminal(result)}`);
}
const record: Record = { date: new Date().toISOString().slice(0, 10), machine, rounds, shapes };
if (options.json) writeFileAtomic(options.json, `${JSON.stringify(record, null, 2)}\n`);
if (options.write) {
  const page = "docs/performance.md";
  const marked = /(<!-- bench:divergence -->\n)[\s\S]*?(<!-- end -->)/;
  const text = readFileSync(page, "utf8");
  if (!marked.test(text)) throw new Error(`${page} has no place marked <!-- bench:divergence --> … <!-- end -->`);
  writeFileAtomic(
    page,
    text.replace(marked, (_, open: string, close: string) => `${open}${markdown(record)}${close}`),
  );
}
