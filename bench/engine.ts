/**
 * Tokens per second of LoRA training on the embedded engine, with cross-entropy alone, with an exact KL to the base, and
 * in a step that is reported in full (gradient norm and cosine of the KL, shared top tokens), against the machine's own limit:
 * the rate at which ONNX Runtime multiplies large matrices. All are measured in turn in one run; medians.
 *
 *     npm run bench:engine -- [--rounds 15] [--threads 2] [--steps 0: also so many steps for the memory] [--json FILE]
 *                             [--default-heap: as in a program that does not let its heap grow]
 */
import { writeFileSync } from "node:fs";
import { arch, cpus } from "node:os";
import { parseArgs } from "node:util";
import { createRandom } from "../src/common/random.ts";
import { type Datum, everyToken } from "../src/data/datum.ts";
import type { Tensor } from "../src/divergence/tensor.ts";
import { projectionShape } from "../src/engine/families/layers.ts";
import type { ModelConfig } from "../src/engine/families/model-config.ts";
import { weightShapes } from "../src/engine/families/weights.ts";
import { gemm } from "../src/engine/graph/operators.ts";
import { input } from "../src/engine/graph/value.ts";
import { LocalModel } from "../src/engine/local/local-model.ts";
import { Program } from "../src/engine/local/program.ts";
import { loadRuntime } from "../src/engine/local/runtime.ts";
import type { LocalTrainingClient } from "../src/engine/local/training-client.ts";
import { PROJECTIONS } from "../src/model/lora.ts";
import { baseReference } from "../src/reference/base.ts";
import { KLDivergence } from "../src/regularizer/kl-divergence.ts";
import { collectRarely } from "../src/run/heap.ts";
import { Objective, type Term } from "../src/train/objective.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "15" },
    threads: { type: "string", default: "2" },
    steps: { type: "string", default: "0" },
    "default-heap": { type: "boolean", default: false },
    vocabulary: { type: "string", default: "1024" },
    json: { type: "string" },
  },
});
const ROUNDS = Number(options.rounds);
const THREADS = Number(options.threads);
const [BATCH, LENGTH] = [4, 128];
if (!options["default-heap"]) collectRarely();

/** The shipped model's shape. */
const config: ModelConfig = {
  architecture: "LlamaForCausalLM",
  vocabSize: Number(options.vocabulary),
  hiddenSize: 128,
  intermediateSize: 384,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
  maxPositions: 256,
  tied: true,
};

const random = createRandom(1);
const model = await LocalModel.of("bench", config, randomWeights(), { threads: THREADS });
const client = await model.trainingClient({ rank: 8, alpha: 16 });
/** In turn, as in training: a reference has seen a batch before, but not just before. */
const batches = Array.from({ length: 4 }, () =>
  Array.from({ length: BATCH }, () =>
    everyToken(Array.from({ length: LENGTH + 1 }, () => Math.floor(random() * config.vocabSize))),
  ),
);
const kl: Term = {
  regularizer: new KLDivergence({ reference: baseReference(await model.sampler()) }),
  weight: 0.1,
};
const [alone, withKl] = [new Objective([]), new Objective([kl])];
const product = await largeProduct(1024);

const seconds = {
  cross_entropy: [] as number[],
  with_kl: [] as number[],
  with_report: [] as number[],
  product: [] as number[],
};
for (let round = -2; round < ROUNDS; round++) {
  const data = batches[(round + 2) % batches.length]!;
  const measured = {
    cross_entropy: await time(() => step(client, data, alone)),
    with_kl: await time(() => step(client, data, withKl)),
    with_report: await time(() => step(client, data, withKl, true)),
    product: await time(product.run),
  };
  if (round < 0) continue;
  for (const [name, value] of Object.entries(measured)) seconds[name as keyof typeof seconds].push(value);
}

const tokens = BATCH * LENGTH;
const ceiling = product.flops / median(seconds.product);
const rows = [
  { name: "cross-entropy", rate: tokens / median(seconds.cross_entropy), limit: ceiling / flopsPerToken(false) },
  { name: "with exact KL", rate: tokens / median(seconds.with_kl), limit: ceiling / flopsPerToken(true) },
  { name: "reported in full", rate: tokens / median(seconds.with_report), limit: ceiling / flopsPerToken(true) },
];
console.log(
  `${cpus()[0]?.model.trim()}, ${cpus().length} × ${arch}, ${THREADS} threads, Node ${process.versions.node}`,
);
console.log(
  `large matrix product: ${(ceiling / 1e9).toFixed(0)} GFLOP/s; ${BATCH} × ${LENGTH} tokens, vocabulary ${config.vocabSize}`,
);
for (const { name, rate, limit } of rows) {
  const share = ((100 * rate) / limit).toFixed(0);
  console.log(
    `${name.padEnd(16)} ${rate.toFixed(0).padStart(7)} tokens/s   limit ${limit.toFixed(0).padStart(7)}   ${share} % of it`,
  );
}

const memory: Record<string, number> = {};
const STEPS = Number(options.steps);
for (let i = 1; i <= STEPS; i++) {
  await step(client, batches[i % batches.length]!, withKl);
  if (i === 100 || i === STEPS) {
    memory[`after ${i} steps`] = process.memoryUsage.rss();
    console.log(`resident memory after ${i} steps: ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB`);
  }
}
if (options.json) {
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, threads: THREADS, node: process.versions.node };
  writeFileSync(options.json, `${JSON.stringify({ machine, ceiling, rows, seconds, memory }, null, 2)}\n`);
}
await client.close();
await model.close();

async function step(
  client: LocalTrainingClient,
  data: readonly Datum[],
  objective: Objective,
  full = false,
): Promise<void> {
  const open = await objective.begin(data, { number: 1, full });
  for (const pass of open.passes) await client.vocabulary.forwardBackward(pass.data, pass.add);
  open.end();
  await client.optimStep({
    learning_rate: 1e-3,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 0,
    grad_clip_norm: 1,
  });
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/**
 * Multiplications and additions of the matrix products alone: weights forward, and backward to their input (LoRA leaves
 * the weights themselves), the same for the head; the KL adds a forward pass of the base. Attention and LoRA are left out.
 */
function flopsPerToken(withKl: boolean): number {
  const weights = PROJECTIONS.map((name) => projectionShape(config, name)).reduce(
    (sum, [out, width]) => sum + out * width,
    0,
  );
  const forward = 2 * (config.layers * weights + config.vocabSize * config.hiddenSize);
  return forward * (withKl ? 3 : 2);
}

async function largeProduct(n: number) {
  const runtime = await loadRuntime();
  const product = gemm(input("a", [n, n]), input("b", [n, n]), { transB: true });
  const program = await Program.open({ runtime, threads: THREADS }, new Map([["y", product]]));
  const square = runtime.floats(
    Float32Array.from({ length: n * n }, () => random() - 0.5),
    [n, n],
  );
  const feeds = new Map([
    ["a", square],
    ["b", square],
  ]);
  return { flops: 2 * n ** 3, run: () => program.run([feeds], {}) };
}

function randomWeights(): Map<string, Tensor> {
  return new Map(
    [...weightShapes(config)].map(([name, shape]) => {
      const size = shape.reduce((total, n) => total * n, 1);
      return [
        name,
        { data: Float32Array.from({ length: size }, () => (shape.length === 1 ? 1 : (random() - 0.5) / 10)), shape },
      ];
    }),
  );
}
