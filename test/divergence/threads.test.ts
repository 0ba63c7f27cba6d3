import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { createRandom, type Random } from "../../src/common/random.ts";
import {
  allocate,
  crossEntropy,
  type DivergenceOptions,
  entropy,
  type GradientOptions,
  jensenShannon,
  klDivergence,
  logSoftmax,
  type Tensor,
  type WithGradient,
} from "../../src/divergence/index.ts";
import { INSIDE } from "../../src/divergence/kernel/shared-job.ts";
import { wasmMemory } from "../../src/divergence/kernel/wasm-memory.ts";
import { workerPool } from "../../src/divergence/kernel/worker-pool.ts";

/** @file Several threads against one: the same numbers, to the last bit. */

const normal = (random: Random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const wasm = wasmMemory(true)!;
const takenByWorkers = () =>
  workerPool(wasm)
    .taken.slice(1)
    .reduce((sum, rows) => sum + rows, 0);

/** Logits that keep two threads busy for some milliseconds. */
function large(): [Tensor, Tensor] {
  const random = createRandom(3);
  const [p, q] = [allocate([64, 8000], { shared: true }), allocate([64, 8000], { shared: true })];
  p.data.set(Float32Array.from({ length: p.data.length }, () => 3 * normal(random)));
  q.data.set(p.data.map((x) => x + normal(random)));
  return [p, q];
}

beforeAll(async () => {
  const [p, q] = large();
  const before = takenByWorkers();
  while (takenByWorkers() === before) {
    klDivergence(p, q, { input: "logits", threads: 4 });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}, 60_000);
afterEach(() => vi.restoreAllMocks());

/** How one call is made: what of it lies in shared memory, and where the gradient goes. */
interface Case {
  readonly seed: number;
  readonly rows: number;
  readonly size: number;
  readonly shared: { readonly p: boolean; readonly q: boolean; readonly gradient: boolean };
  readonly to: "new" | "out" | "addTo" | "p";
  readonly special: readonly { readonly inP: boolean; readonly at: number; readonly value: number }[];
  readonly options: DivergenceOptions;
  readonly threads: number;
}

const cases: fc.Arbitrary<Case> = fc
  .record({
    seed: fc.nat(),
    rows: fc.integer({ min: 1, max: 60 }),
    size: fc.oneof(fc.integer({ min: 60, max: 70 }), fc.integer({ min: 64, max: 3000 })),
    shared: fc.record({ p: fc.boolean(), q: fc.boolean(), gradient: fc.boolean() }),
    to: fc.constantFrom("new", "out", "addTo", "p"),
    special: fc.array(
      fc.record({
        inP: fc.boolean(),
        at: fc.nat(),
        value: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -200, 1e30),
      }),
      { maxLength: 4 },
    ),
    weighted: fc.boolean(),
    options: fc.record({
      reduction: fc.constantFrom("mean", "sum", "none"),
      temperature: fc.constantFrom(1, 0.7, 2),
      clip: fc.constantFrom(Number.POSITIVE_INFINITY, 0.3),
      epsilon: fc.constantFrom(0, 0, 0, 0.1),
    }),
    threads: fc.integer({ min: 2, max: 5 }),
  })
  .map(({ weighted, options, ...rest }) => ({
    ...rest,
    options: weighted
      ? { ...options, weights: Array.from({ length: rest.rows }, (_, r) => ((r + rest.seed) % 3) / 2) }
      : options,
  }));

type Call = (p: Tensor, q: Tensor, options: DivergenceOptions & GradientOptions) => WithGradient;
const targetsOf = ({ shape }: Tensor) => ({
  data: Int32Array.from({ length: shape[0]! }, (_, r) => (r * 7) % shape[1]!),
  shape: [shape[0]!],
});
const FUNCTIONS: Record<string, Call> = {
  "KL(p‖q)": klDivergence.withGradient,
  "KL(q‖p)": (p, q, options) => klDivergence.withGradient(p, q, { ...options, direction: "q||p" }),
  "Jensen–Shannon": (p, q, options) => jensenShannon.withGradient(p, q, { ...options, beta: 0.3 }),
  entropy: (p, _, { epsilon, ...options }) => entropy.withGradient(p, options),
  "cross-entropy": (p, _, { epsilon, ...options }) => crossEntropy.withGradient(p, targetsOf(p), options),
};

/** The call on numbers of its own, by so many threads. */
function compute(call: Call, { seed, rows, size, shared, to, special, options }: Case, threads: number): WithGradient {
  const random = createRandom(seed);
  const shape = [rows, size];
  const place = (data: Float32Array, inShared: boolean): Tensor => {
    if (!inShared) return { data, shape };
    const home = allocate(shape, { shared: true });
    home.data.set(data);
    return home;
  };
  const x = Float32Array.from({ length: rows * size }, () => 3 * normal(random));
  const y = x.map((z, i) => z + normal(random) * (Math.floor(i / size) % 2 ? 1 : 0.05));
  for (const { inP, at, value } of special) (inP ? x : y)[at % x.length] = value;
  const [p, q] = [place(x, shared.p), place(y, shared.q)];
  const gradient = to === "p" ? p : place(new Float32Array(rows * size).fill(0.25), shared.gradient);
  return call(p, q, {
    ...options,
    ...{ input: "logits", threads },
    ...(to === "addTo" ? { addTo: { gradient, scale: -1.5 } } : to === "new" ? {} : { out: { gradient } }),
  });
}

const bits = ({ data }: Tensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

describe.each(Object.entries(FUNCTIONS))("%s", (_, call) => {
  test("is the same to the last bit", () => {
    fc.assert(
      fc.property(cases, (given) => {
        const [one, several] = [compute(call, given, 1), compute(call, given, given.threads)];
        expect(several.value).toEqual(one.value);
        expect(several.clippedShare).toBe(one.clippedShare);
        expect(bits(several.perRow).equals(bits(one.perRow))).toBe(true);
        expect(bits(several.gradient).equals(bits(one.gradient))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

test("log-probabilities are checked, and vouched for", () => {
  const [p, q] = large();
  for (const side of [p, q]) logSoftmax(side, { out: side });
  for (const check of [true, false]) {
    const [one, two] = [1, 2].map((threads) => klDivergence.withGradient(p, q, { check, threads }));
    expect(two!.value).toBe(one!.value);
    expect(bits(two!.gradient).equals(bits(one!.gradient))).toBe(true);
  }
  q.data.fill(0, 8000, 16000);
  expect(() => klDivergence(p, q, { threads: 2 })).toThrow("row 1 of q sums to");
});

test("larger than what is copied at once: the same", () => {
  const random = createRandom(4);
  const shape = [9, 600_000];
  const p = { data: Float32Array.from({ length: 9 * 600_000 }, () => 8 * random()), shape };
  const q = { data: p.data.map((x) => x + random()), shape };
  const targets = targetsOf(p);
  const [one, three] = [1, 3].map((threads) => [
    klDivergence.withGradient(p, q, { input: "logits", threads }),
    crossEntropy.withGradient(p, targets, { input: "logits", threads }),
  ]);
  one!.forEach((wanted, i) => {
    expect(three![i]!.perRow).toEqual(wanted.perRow);
    expect(bits(three![i]!.gradient).equals(bits(wanted.gradient))).toBe(true);
  });
});

test("many calls in a row, of changing functions, sizes and numbers of threads", () => {
  const random = createRandom(5);
  const tensors = [70, 300, 1111].map((size) => {
    const [p, q] = [0, 1].map(() => {
      const home = allocate([Math.ceil(60_000 / size), size], { shared: true });
      home.data.set(home.data.map(() => 2 * normal(random)));
      return home;
    });
    return { p: p!, q: q!, gradient: allocate(p!.shape, { shared: true }) };
  });
  const calls = tensors.flatMap(({ p, q, gradient }) =>
    Object.values(FUNCTIONS).map((call) => {
      const make = (threads: number) => call(p, q, { input: "logits", threads, out: { gradient } });
      const { value } = make(1);
      return { make, value, bits: Buffer.from(bits(gradient)), gradient };
    }),
  );
  const before = takenByWorkers();
  for (let i = 0; i < 1500; i++) {
    const { make, value, bits: wanted, gradient } = calls[Math.floor(random() * calls.length)]!;
    expect(make(2 + (i % 4)).value).toBe(value);
    if (!bits(gradient).equals(wanted)) expect.unreachable(`call ${i} has another gradient`);
  }
  expect(takenByWorkers()).toBeGreaterThan(before);
}, 60_000);

test("shared tensors stay where they are, whatever is allocated after them", () => {
  const first = allocate([2, 300], { shared: true });
  const { data } = first;
  expect(data.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(allocate([2, 300]).data.buffer).toBeInstanceOf(ArrayBuffer);
  data.set(data.map((_, i) => Math.sin(i)));
  allocate([2 ** 20], { shared: true });
  expect(first.data).toEqual(data);
  first.data[0] = 7;
  expect(data[0]).toBe(7);
  // An old view is used where it lies too, by as many threads as there are.
  const old = { data, shape: [2, 300] };
  for (const threads of [1, 2]) {
    expect(entropy(old, { input: "logits", threads })).toBe(
      entropy({ data: data.slice(), shape: [2, 300] }, { input: "logits" }),
    );
  }
});

test("a number of threads is a whole one, from 1 to 64", () => {
  const [p, q] = large();
  for (const threads of [0, -1, 1.5, Number.NaN, 65, "2" as unknown as number]) {
    expect(() => klDivergence(p, q, { input: "logits", threads })).toThrow(
      new RangeError(`threads is ${threads}, expected a whole number from 1 to 64`),
    );
  }
});

test("a worker that does not come back is an error, and not for long", () => {
  const [p, q] = large();
  const options = { input: "logits", threads: 2 } as const;
  const wanted = klDivergence(p, q, { ...options, threads: 1 });
  // As if one had died within a job: nobody will ever count it out again.
  const { words } = workerPool(wasm);
  Atomics.add(words, INSIDE, 1);
  vi.spyOn(Atomics, "wait").mockReturnValue("timed-out");
  expect(() => klDivergence(p, q, options)).toThrow("has not finished its rows");
  vi.restoreAllMocks();
  expect(workerPool(wasm).words).not.toBe(words);
  expect(klDivergence(p, q, options)).toBe(wanted);
});

test("a kernel that fails is an error of the call, and the next one succeeds", () => {
  const [p, q] = large();
  const wanted = klDivergence(p, q, { input: "logits" });
  const job = {
    kind: 0,
    parameter: 0,
    targets: 0,
    threads: 3,
    rows: 64,
    chunk: 1,
    rooms: 2 ** 32 - 2 ** 24,
    size: 8000,
  };
  const rows = { t: 1, logitsX: 1, logitsY: 1, check: 1, x: 4096, y: 4096, g: 0, factors: 8192, add: 0, clip: 1 };
  const values = wasm.reserve(128);
  new Float64Array(wasm.memory.buffer, values, 64).fill(Number.NaN);
  expect(() => workerPool(wasm).run({ ...job, ...rows, values })).toThrow(/out of bounds|a worker thread failed/);
  expect(klDivergence(p, q, { input: "logits", threads: 3 })).toBe(wanted);
});

describe("a process of its own", () => {
  const run = (before: string) =>
    execFileSync(
      process.execPath,
      [
        ...["--import", "tsx", "--input-type=module", "--eval"],
        `${before}
        const { allocate, entropy } = await import("./src/divergence/index.ts");
        const p = allocate([300, 4000], { shared: true });
        p.data.set(p.data.map((_, i) => Math.sin(i)));
        for (let i = 0; i < 30; i++) entropy(p, { input: "logits", threads: 3 });
        console.log(entropy(p, { input: "logits", threads: 3 }) === entropy(p, { input: "logits" }), p.data.buffer.constructor.name);`,
      ],
      { encoding: "utf8", timeout: 30_000 },
    ).trim();

  test("ends by itself", () => expect(run("")).toBe("true SharedArrayBuffer"), 40_000);

  test("without shared memory has one thread", () => {
    expect(run("delete globalThis.SharedArrayBuffer;")).toBe("true ArrayBuffer");
  }, 40_000);
});
