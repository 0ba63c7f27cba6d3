import { setFlagsFromString } from "node:v8";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { createRandom } from "../../src/common/random.ts";
import type { GradientOptions, IntTensor, RowOptions, Tensor, TopK, WithGradient } from "../../src/divergence/index.ts";

/**
 * @file Ordinary rows are computed by the kernels, in every variant and on both builds. A kernel that gives up on a row leaves
 * it to the formula, which has the same numbers: only the count of such rows shows it.
 */

type Library = typeof import("../../src/divergence/index.ts");
type Build = "simd" | "relaxed-simd";
type Options = RowOptions & GradientOptions;

/** Enough rows for two threads, and a size that is no multiple of four lanes. */
const SHAPE = [60, 301];
const SIZE = 60 * 301;
const K = 20;

interface Variant {
  readonly gradient?: "own" | "added";
  readonly options?: Options;
  /** Where the tensors lie: ordinary arrays, the kernels' memory, or memory that threads share. */
  readonly memory?: "kernels" | "shared";
}
const LOGITS: Record<string, Variant> = {
  "value alone": {},
  gradient: { gradient: "own" },
  "gradient added to a sum": { gradient: "added" },
  "gradient, in the kernels' memory": { gradient: "own", memory: "kernels" },
};
const LOGPROBS: Record<string, Variant> = {
  "log-probabilities": { gradient: "own", options: { input: "logprobs" } },
  "unchecked log-probabilities": { gradient: "own", options: { input: "logprobs", check: false } },
  "logits and log-probabilities": { gradient: "own", options: { input: { p: "logits", q: "logprobs" } } },
  "logits and unchecked log-probabilities": {
    gradient: "own",
    options: { input: { p: "logits", q: "logprobs" }, check: false },
  },
};
const TEMPERATURES: Record<string, Variant> = {
  "temperature 0.5, value alone": { options: { temperature: 0.5 } },
  "temperature 0.5": { gradient: "own", options: { temperature: 0.5 } },
  "temperature 3, gradient added to a sum": { gradient: "added", options: { temperature: 3 } },
};
const THREADS: Record<string, Variant> = {
  "threads, value alone": { options: { threads: 2 } },
  "threads, gradient": { gradient: "own", options: { threads: 2 } },
  "threads, gradient added to a sum": { gradient: "added", options: { threads: 2 } },
  "threads, temperature 2": { gradient: "own", options: { threads: 2, temperature: 2 } },
  "threads, in shared memory": { gradient: "own", memory: "shared", options: { threads: 2 } },
};

interface Function {
  value(p: Tensor, q: Tensor, options: Options): number;
  withGradient(p: Tensor, q: Tensor, options: Options): WithGradient;
}
const targetsOf = ({ shape }: Tensor): IntTensor => ({
  data: Int32Array.from({ length: shape[0]! }, (_, r) => (r * 7) % shape[1]!),
  shape: [shape[0]!],
});
const FUNCTIONS: Record<string, (library: Library) => Function> = {
  "KL(p‖q)": ({ klDivergence: f }) => ({ value: f as Function["value"], withGradient: f.withGradient }),
  "KL(q‖p)": ({ klDivergence: f }) => ({
    value: (p, q, options) => f(p, q, { ...options, direction: "q||p" }) as number,
    withGradient: (p, q, options) => f.withGradient(p, q, { ...options, direction: "q||p" }),
  }),
  "Jensen–Shannon": ({ jensenShannon: f }) => ({ value: f as Function["value"], withGradient: f.withGradient }),
  "cross-entropy": ({ crossEntropy: f }) => ({
    value: (p, _, options) => f(p, targetsOf(p), options) as number,
    withGradient: (p, _, options) => f.withGradient(p, targetsOf(p), options),
  }),
  entropy: ({ entropy: f }) => ({
    value: (p, _, options) => f(p, options) as number,
    withGradient: (p, _, options) => f.withGradient(p, options),
  }),
};
const random = createRandom(1);
const MODEL = Float32Array.from({ length: SIZE }, () => 6 * random() - 3);
const REFERENCE = MODEL.map((x) => x + random());

/** Loads the library with this build of the kernels, where this Node has it. */
async function load(build: Build) {
  vi.resetModules();
  const wasm = Reflect.get(globalThis, "WebAssembly") as { validate(bytes: Uint8Array): boolean };
  const validate = vi.spyOn(wasm, "validate");
  if (build === "simd") validate.mockReturnValue(false);
  else setFlagsFromString("--experimental-wasm-relaxed-simd");
  const { wasmMemory } = await import("../../src/divergence/kernel/wasm-memory.ts");
  const builds = [wasmMemory(), wasmMemory(true)].map((memory) => memory?.build);
  validate.mockRestore();
  const { KernelRows } = await import("../../src/divergence/kernel/kernel-rows.ts");
  return { builds, KernelRows, library: await import("../../src/divergence/index.ts") };
}

describe.each<Build>(["simd", "relaxed-simd"])("the %s build", (build) => {
  let loaded: Awaited<ReturnType<typeof load>>;
  beforeAll(async () => {
    loaded = await load(build);
  });
  afterEach(() => vi.restoreAllMocks());

  /** Asserts that one call of a kernel left no row, and that its results are those of the formula within float32. */
  function expectNoRowLeft(compute: () => ArrayLike<number>[]): void {
    const { KernelRows } = loaded;
    const kernel = vi.spyOn(KernelRows.prototype, "compute");
    const found = compute();
    expect(kernel.mock.results.map(({ value }) => value)).toEqual([0]);
    kernel.mockRestore();
    const open = vi.spyOn(KernelRows, "open").mockReturnValue(undefined);
    const wanted = compute();
    open.mockRestore();
    for (const [i, exact] of wanted.entries()) {
      const scale = Array.from(exact).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const apart = Array.from(exact).reduce((most, x, at) => Math.max(most, Math.abs(x - found[i]![at]!)), 0);
      expect(apart).toBeLessThanOrEqual(5e-6 * scale + 1e-6);
    }
  }

  function tensors({ options, memory }: Variant): [Tensor, Tensor] {
    const { library } = loaded;
    const input = options?.input ?? "logits";
    const sides = typeof input === "string" ? { p: input, q: input } : input;
    const place = (data: Float32Array, as: string): Tensor => {
      const numbers = as === "logits" ? { data, shape: SHAPE } : library.logSoftmax({ data, shape: SHAPE });
      if (!memory) return numbers;
      const home = library.allocate(SHAPE, { shared: memory === "shared" });
      home.data.set(numbers.data);
      return home;
    };
    return [place(MODEL, sides.p), place(REFERENCE, sides.q)];
  }

  function call({ value, withGradient }: Function, p: Tensor, q: Tensor, variant: Variant): ArrayLike<number>[] {
    const options = { input: "logits", ...variant.options } as const;
    if (!variant.gradient) return [[value(p, q, options)]];
    const sum = { data: new Float32Array(SIZE).fill(0.5), shape: SHAPE };
    const addTo = variant.gradient === "added" ? { addTo: { gradient: sum, scale: -1.5 } } : {};
    const { perRow, gradient } = withGradient(p, q, { ...options, ...addTo });
    return [perRow.data, gradient.data];
  }

  test("is what runs", (context) => {
    if (build === "relaxed-simd" && loaded.builds[0] === "simd") context.skip("this Node has no relaxed SIMD");
    expect(loaded.builds).toEqual([build, build]);
  });

  describe.each(Object.entries(FUNCTIONS))("%s", (_, functionOf) => {
    test.each(Object.entries({ ...LOGITS, ...LOGPROBS, ...TEMPERATURES, ...THREADS }))("%s", (_, variant) => {
      const [p, q] = tensors(variant);
      expectNoRowLeft(() => call(functionOf(loaded.library), p, q, variant));
    });
  });

  describe.each(["KL(p‖q)", "KL(q‖p)", "Jensen–Shannon"])("%s against a top-k", (name) => {
    test.each(Object.entries({ ...LOGITS, ...LOGPROBS }))("%s", (_, variant) => {
      const [p, whole] = tensors(variant);
      // All three take a top-k in place of a whole reference.
      const q: Tensor | TopK = loaded.library.selectTopK(whole, K);
      expectNoRowLeft(() => call(FUNCTIONS[name]!(loaded.library), p, q as TopK & Tensor, variant));
    });
  });

  describe("log-softmax and top-k selection", () => {
    test.each([1, 0.5, 3])("at temperature %d", (temperature) => {
      const { logSoftmax, selectTopK, allocate } = loaded.library;
      const home = allocate(SHAPE);
      home.data.set(MODEL);
      for (const logits of [{ data: MODEL, shape: SHAPE }, home]) {
        expectNoRowLeft(() => [logSoftmax(logits, { temperature }).data]);
        for (const k of [1, K, 301]) {
          expectNoRowLeft(() => {
            const { tokens, logprobs, tail } = selectTopK(logits, k, { temperature });
            return [tokens.data, logprobs.data, k === 301 ? [] : tail!.data];
          });
        }
      }
    });

    test("in place", () => {
      const { logSoftmax } = loaded.library;
      expectNoRowLeft(() => {
        const logits = { data: MODEL.slice(), shape: SHAPE };
        return [logSoftmax(logits, { out: logits }).data];
      });
    });
  });
});
