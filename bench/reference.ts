/**
 * The reference store: bytes per token, coverage against k, rates of building and of looking up, and what a training step
 * costs with a stored reference (both kinds), with the base asked on demand, and without KL. Steps are measured in turn
 * in one run, and the least times of each kind compared.
 *
 *     npm run bench:reference -- [--rounds 20] [--threads 2] [--worlds small,narrow,135M] [--json FILE]
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { arch, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Datum, rowCount } from "../src/data/datum.ts";
import { klDivergence } from "../src/divergence/kl-divergence.ts";
import type { LocalModel } from "../src/engine/local/local-model.ts";
import { baseReference } from "../src/reference/base.ts";
import { computedReference } from "../src/reference/computed.ts";
import type { Reference } from "../src/reference/contract.ts";
import { buildStore } from "../src/reference/store/build.ts";
import type { StoreIdentity } from "../src/reference/store/identity.ts";
import { inspectStore } from "../src/reference/store/inspect.ts";
import { StoreReader } from "../src/reference/store/reader.ts";
import { openStoredReference } from "../src/reference/store/store-reference.ts";
import { KLDivergence } from "../src/regularizer/kl-divergence.ts";
import { collectRarely } from "../src/run/heap.ts";
import { train } from "../src/train/train.ts";
import { randomModel, smallWorld, type World } from "./reference/worlds.ts";

collectRarely();
const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    threads: { type: "string", default: "2" },
    worlds: { type: "string", default: "small,narrow,135M" },
    json: { type: "string" },
  },
});
const ROUNDS = Number(options.rounds);
const THREADS = Number(options.threads);
const WORLDS = options.worlds.split(",");
/** Steps that are timed together, each on another batch: one batch alone would be answered from memory. */
const STEPS = 5;
const folder = mkdtempSync(join(tmpdir(), "klamp-bench-"));
const results: Record<string, unknown> = {};

console.log(
  `${cpus()[0]?.model.trim()}, ${cpus().length} × ${arch()}, ${THREADS} threads, Node ${process.versions.node}`,
);
try {
  if (WORLDS.includes("small")) {
    const stories = await smallWorld(THREADS, true);
    results.size = await sizes(stories);
    await stories.model.close();
    results.small = await world(await smallWorld(THREADS), ROUNDS);
  }
  if (WORLDS.includes("narrow")) results.narrow = await world(await randomModel("narrow", THREADS), ROUNDS);
  if (WORLDS.includes("135M")) results["135M"] = await world(await randomModel("135M", THREADS), Math.ceil(ROUNDS / 5));
} finally {
  rmSync(folder, { recursive: true });
}
if (options.json) {
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, threads: THREADS, node: process.versions.node };
  writeFileSync(options.json, `${JSON.stringify({ machine, ...results }, null, 2)}\n`);
}

function identityOf({ config }: LocalModel, kind: "top-k" | "hidden", k: number): StoreIdentity {
  return {
    kind,
    k: kind === "top-k" ? k : null,
    vocabulary: config.vocabSize,
    hidden_size: kind === "hidden" ? config.hiddenSize : null,
    temperature: 1,
    model: "the model at hand",
    adapter: "none",
    tokenizer: "none",
  };
}

/** What stores of both kinds take of the disk, what they cover, and how far what comes back is from what went in. */
async function sizes({ name, model, data }: World) {
  const base = await model.sampler();
  const exact = await base.distributions(data);
  const found: Record<string, unknown>[] = [];
  console.log(`\n${name}: ${data.length} texts, every token a row; mean over rows, KL(base‖what comes back)`);
  console.log("kind      bytes/row  bytes/entry  coverage   least        KL, nats");
  for (const k of [1, 4, 16, 64, 256, null]) {
    const kind = k === null ? "hidden" : "top-k";
    const store = join(folder, `size-${k}`);
    const identity = identityOf(model, kind, k ?? 0);
    await buildStore(data, { folder: store, identity, source: base });
    const { recordBytes, rows, coverage } = await inspectStore(store);
    const reference = openStoredReference(store, identity, model.stores.head(store));
    const open = await reference.begin(data, { number: 1, full: false });
    const back = await open.rows(data.map((datum, index) => ({ index, from: 0, to: rowCount(datum) })));
    reference.close();
    let error = 0;
    for (const [i, q] of back.entries()) {
      error += klDivergence(exact[i]!, q, { reduction: "sum" }) as number;
    }
    const row = {
      kind,
      k,
      bytes: recordBytes / rows,
      coverage: coverage.mean,
      least: coverage.least,
      kl: error / rows,
    };
    found.push(row);
    const entry = k === null ? "" : (row.bytes / k).toFixed(2);
    console.log(
      `${(k === null ? kind : `top-${k}`).padEnd(8)} ${row.bytes.toFixed(1).padStart(10)} ${entry.padStart(12)} ${percent(row.coverage)} ${percent(row.least)} ${row.kl.toExponential(1).padStart(12)}`,
    );
  }
  return found;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2).padStart(7)} %`;
}

/** Rates of building and looking up, and the cost of a step. */
async function world({ name, model, data, batchSize }: World, rounds: number) {
  const base = await model.sampler();
  const { vocabSize, hiddenSize, layers } = model.config;
  const rows = sum(data.map(rowCount));
  const tokens = sum(data.map(({ modelInput }) => modelInput.length));
  console.log(
    `\n${name}: vocabulary ${vocabSize}, ${layers} layers of ${hiddenSize}; ${data.length} texts, ${tokens} tokens, ${rows} rows; ${batchSize} texts a step`,
  );
  const references = new Map<string, Reference | null>([
    ["none", null],
    ["base, each time", computedReference((data) => base.distributions(data))],
    ["base, states kept", baseReference(base)],
  ]);
  const rates: Record<string, unknown>[] = [];
  const opened: { close(): void }[] = [];
  // The first pass also builds what later ones reuse.
  await base.distributions(data.slice(0, 2));
  for (const kind of ["top-k", "hidden"] as const) {
    const store = join(folder, `${name}-${kind}`);
    const identity = identityOf(model, kind, 64);
    const build = await time(() => buildStore(data, { folder: store, identity, source: base }));
    const reader = StoreReader.open(store);
    const lookup = await fastest(5, async () => {
      for (const datum of data) reader.find(datum);
    });
    reader.close();
    const { recordBytes } = await inspectStore(store);
    const reference = openStoredReference(store, identity, model.stores.head(store));
    opened.push(reference);
    references.set(kind === "top-k" ? "stored top-64" : "stored hidden", reference);
    const rate = { kind, build: rows / build, lookup: rows / lookup, bytes: recordBytes / rows };
    rates.push(rate);
    console.log(
      `${kind.padEnd(7)} built at ${count(rate.build)} rows/s, looked up at ${count(rate.lookup)} rows/s; ${rate.bytes.toFixed(1)} bytes a row, ${(recordBytes / tokens).toFixed(1)} a token`,
    );
  }
  const { ratios, steps } = await compareSteps(model, data, batchSize, references, rounds);
  for (const each of opened) each.close();
  await model.close();
  return { rates, ratios, steps };
}

/**
 * Each round makes some steps of every kind on the same batches, one kind after another. What a step costs is the least of
 * its times over all rounds, since whatever else the machine does only adds to it.
 */
async function compareSteps(
  model: LocalModel,
  data: readonly Datum[],
  batchSize: number,
  references: ReadonlyMap<string, Reference | null>,
  rounds: number,
) {
  const client = await model.trainingClient({ rank: 8, alpha: 16 });
  const entries = [...references];
  const seconds = new Map(entries.map(([name]) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    // Another first in each round: what the collector of garbage takes would else fall on the same one each time.
    const turn = (round + 1) % references.size;
    for (const [name, reference] of [...entries.slice(turn), ...entries.slice(0, turn)]) {
      const regularizer = reference && new KLDivergence({ reference });
      const took = await time(() =>
        train({
          client,
          data,
          steps: STEPS,
          batchSize,
          seed: 1,
          shuffle: true,
          regularizers: regularizer ? [{ regularizer, weight: 0.1 }] : [],
          optimizer: { learningRate: 1e-4 },
          reportEvery: 0,
        }),
      );
      if (round >= 0) seconds.get(name)!.push(took / STEPS);
    }
  }
  await client.close();
  const none = Math.min(...seconds.get("none")!);
  const ratios: Record<string, number> = {};
  for (const [name, times] of seconds) {
    const least = Math.min(...times);
    ratios[name] = least / none;
    console.log(
      `${name.padEnd(17)} ${(1000 * least).toFixed(1).padStart(8)} ms a step   ${ratios[name].toFixed(3)} × a step without KL`,
    );
  }
  return { ratios, steps: Object.fromEntries(seconds) };
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

async function fastest(times: number, work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i++) least = Math.min(least, await time(work));
  return least;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function count(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}
