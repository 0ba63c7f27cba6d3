import { beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../../src/common/random.ts";
import { buildDecoder, DECODER_DIMENSIONS, type Decoder } from "../../../src/engine/families/decoder.ts";
import { type Lora, loraNames } from "../../../src/engine/families/lora.ts";
import { gradients, residuals } from "../../../src/engine/graph/gradient.ts";
import { input, topological, type Value } from "../../../src/engine/graph/value.ts";
import { projectionName } from "../../../src/model/lora.ts";
import { expectGradient } from "../graph/finite-differences.ts";
import { evaluate } from "../graph/interpreter.ts";
import { run } from "../graph/onnx-runtime.ts";
import { at, dot, noise, type Tensor64, tabulate } from "../graph/tensor64.ts";
import { CONFIG, cachedInputs, LORA, parameters, passInputs, SCALE, slice, stack } from "./decoder-inputs.ts";

type Feeds = Map<string, Tensor64>;
type Results = Map<string, Tensor64>;

/** The two ways to compute a graph of the decoder. */
type Compute = (
  outputs: ReadonlyMap<string, Value>,
  feeds: Feeds,
  given?: ReadonlyMap<Value, string>,
) => Results | Promise<Results>;

const sizesOf = (feeds: Feeds) => {
  const sizes = feeds.get("positions")!.shape;
  const past = feeds.get("past.0.key")?.shape[2];
  const known = Object.fromEntries(DECODER_DIMENSIONS.map((name, i) => [name, sizes[i]!]));
  return past === undefined ? known : { ...known, past };
};

const interpreted: Compute = (outputs, feeds, given = new Map()) => {
  const taken = new Map([...given].map(([value, name]) => [value, feeds.get(name)!]));
  const results = evaluate([...outputs.values()], feeds, sizesOf(feeds), taken);
  return new Map([...outputs.keys()].map((name, i) => [name, results[i]!]));
};
const runtime: Compute = (outputs, feeds, given) => run(outputs, feeds, sizesOf(feeds), given);

const ENGINES = [
  { name: "interpreter", compute: interpreted, tolerance: 1e-12 },
  { name: "ONNX Runtime", compute: runtime, tolerance: 2e-5 },
];

/** Differences are measured against the largest number of the tensor. */
function expectClose(found: Tensor64, expected: Tensor64, tolerance: number, label: string): void {
  expect(found.shape, label).toEqual(expected.shape);
  const size = expected.data.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  expect(size, label).toBeGreaterThan(0);
  const error = found.data.reduce((largest, x, i) => Math.max(largest, Math.abs(x - expected.data[i]!)), 0);
  expect(error / size, label).toBeLessThanOrEqual(tolerance);
}

const random = createRandom(5);
const WEIGHTS = parameters(random);
const BATCH = 2;
const LENGTH = 3;
const FEEDS = new Map([
  ...WEIGHTS,
  ...passInputs(noise(random, [BATCH * LENGTH, CONFIG.hiddenSize]), BATCH),
  ["dhidden", noise(random, [BATCH * LENGTH, CONFIG.hiddenSize])] as const,
]);

/** The decoder, and the gradients of ⟨hidden, dhidden⟩ with respect to everything that can be trained. */
function differentiated(): { decoder: Decoder; gradients: Map<string, Value> } {
  const decoder = buildDecoder(CONFIG, LORA);
  const trained = new Map([...decoder.adapter, ...decoder.weights, ["embeddings", decoder.embeddings]]);
  const found = gradients(decoder.hidden, input("dhidden", ["tokens", CONFIG.hiddenSize]), [...trained.values()]);
  return { decoder, gradients: new Map([...trained.keys()].map((name, i) => [`d.${name}`, found[i]!])) };
}

describe("gradients of the whole decoder", () => {
  const { decoder, gradients } = differentiated();
  let exact: Results;
  beforeAll(async () => {
    exact = await interpreted(gradients, FEEDS);
  });

  test("reach two LoRA matrices for each projection, all base weights, and the embeddings", () => {
    const modules = CONFIG.layers * 7;
    expect(decoder.adapter.size).toBe(2 * modules);
    expect(decoder.weights.size).toBe(modules + 2 * CONFIG.layers + 1);
    expect(gradients.size).toBe(3 * modules + 2 * CONFIG.layers + 2);
  });

  test.each([...gradients.keys()])("%s agrees with finite differences", (gradient) => {
    const name = gradient.slice("d.".length);
    const loss = (x: Tensor64) =>
      dot(evaluate([decoder.hidden], new Map(FEEDS).set(name, x))[0]!, FEEDS.get("dhidden")!);
    expectGradient(loss, FEEDS.get(name)!, exact.get(gradient)!, createRandom(9), name);
  });

  test("are the same from ONNX Runtime", async () => {
    const found = await runtime(gradients, FEEDS);
    for (const [name, expected] of exact) expectClose(found.get(name)!, expected, 2e-5, name);
  });
});

describe("what the decoder means", () => {
  const hidden = (lora: Lora | null, feeds: Feeds) => evaluate([buildDecoder(CONFIG, lora).hidden], feeds)[0]!;

  test("LoRA is the base whose weights are W + scale·B·A", () => {
    const merged = new Map(FEEDS);
    for (const module of LORA.keys()) {
      const names = loraNames(module);
      const [a, b] = [FEEDS.get(names.a)!, FEEDS.get(names.b)!];
      const product = (i: number, j: number) => at(b, [i, 0]) * at(a, [0, j]) + at(b, [i, 1]) * at(a, [1, j]);
      const weight = FEEDS.get(`${module}.weight`)!;
      merged.set(
        `${module}.weight`,
        tabulate(weight.shape, ([i, j]) => at(weight, [i!, j!]) + SCALE * product(i!, j!)),
      );
    }
    expectClose(hidden(LORA, FEEDS), hidden(null, merged), 1e-12, "hidden");
  });

  test("without LoRA on a projection, that projection is the base's", () => {
    const zero = new Map(FEEDS);
    for (let layer = 0; layer < CONFIG.layers; layer++) {
      const { b } = loraNames(projectionName(layer, "up_proj"));
      zero.set(
        b,
        tabulate(FEEDS.get(b)!.shape, () => 0),
      );
    }
    const others = new Map([...LORA].filter(([module]) => !module.endsWith("up_proj")));
    expectClose(hidden(others, FEEDS), hidden(LORA, zero), 0, "hidden");
  });

  test("consecutive query heads share a key head, and heads leave in the order in which they came", () => {
    const half = (CONFIG.heads * CONFIG.headDim) / 2;
    const deaf = new Map(FEEDS); // to the heads of the first group
    for (let layer = 0; layer < CONFIG.layers; layer++) {
      const name = `${projectionName(layer, "o_proj")}.weight`;
      const weight = FEEDS.get(name)!;
      deaf.set(
        name,
        tabulate(weight.shape, ([i, j]) => (j! < half ? 0 : at(weight, [i!, j!]))),
      );
    }
    const before = hidden(null, deaf);
    for (const projection of ["q_proj", "k_proj", "v_proj"] as const) {
      const name = `${projectionName(0, projection)}.weight`;
      const weight = deaf.get(name)!;
      const turned = (first: boolean) =>
        tabulate(weight.shape, ([i, j]) => at(weight, [i!, j!]) * (i! < weight.shape[0]! / 2 === first ? -2 : 1));
      expectClose(hidden(null, new Map(deaf).set(name, turned(true))), before, 0, `${projection} of the first group`);
      expect(hidden(null, new Map(deaf).set(name, turned(false))).data).not.toEqual(before.data);
    }
  });

  test("a token sees itself and what is before it, within its own sequence", () => {
    const before = hidden(LORA, FEEDS);
    const embeddings = FEEDS.get("embeddings")!;
    const changed = 1; // the second token of the first sequence
    const other = tabulate(embeddings.shape, ([i, j]) => at(embeddings, [i!, j!]) * (i === changed ? -2 : 1));
    const after = hidden(LORA, new Map(FEEDS).set("embeddings", other));
    const differs = Array.from({ length: BATCH * LENGTH }, (_, i) =>
      slice(before, i, i + 1).data.some((x, j) => x !== slice(after, i, i + 1).data[j]),
    );
    expect(differs).toEqual([false, true, true, false, false, false]);
  });
});

describe("dropout", () => {
  const decoder = buildDecoder(CONFIG, LORA, { drops: true });
  const masksOf = (at: () => number) =>
    new Map(
      [...decoder.dropout].map(([name, { shape }]) => [name, tabulate([BATCH * LENGTH, shape[1] as number], at)]),
    );
  const hidden = (masks: Feeds, feeds: Feeds = FEEDS) =>
    evaluate([decoder.hidden], new Map([...feeds, ...masks]), { batch: BATCH, length: LENGTH })[0]!;

  test("has a mask of its own for each linear map: all ones are LoRA, all zeros the base", () => {
    expect([...decoder.dropout.keys()]).toEqual([...LORA.keys()].map((module) => `dropout.${module}`));
    const of = (lora: Lora | null) => evaluate([buildDecoder(CONFIG, lora).hidden], FEEDS)[0]!;
    expectClose(hidden(masksOf(() => 1)), of(LORA), 0, "ones");
    expectClose(hidden(masksOf(() => 0)), of(null), 0, "zeros");
  });

  test("the gradients of A and B are those of finite differences, through the masks", () => {
    const masks = masksOf(() => (random() < 0.4 ? 0 : 1 / 0.6));
    const found = gradients(decoder.hidden, input("dhidden", ["tokens", CONFIG.hiddenSize]), [
      ...decoder.adapter.values(),
    ]);
    const fed = new Map([...FEEDS, ...masks]);
    for (const [i, [name]] of [...decoder.adapter].entries()) {
      const [exact] = evaluate([found[i]!], fed, { batch: BATCH, length: LENGTH });
      const loss = (x: Tensor64) => dot(hidden(masks, new Map(FEEDS).set(name, x)), FEEDS.get("dhidden")!);
      expectGradient(loss, FEEDS.get(name)!, exact!, createRandom(9), name);
    }
  });
});

describe("forward and backward as two graphs", () => {
  const { decoder, gradients } = differentiated();
  const saved = residuals([decoder.hidden], [...gradients.values()]);
  const names = new Map(saved.map((value, i) => [value, `residual.${i}`]));

  test.each(ENGINES)("joined by the residuals give the gradients of one graph: $name", async ({ compute, name }) => {
    const forward = new Map([["hidden", decoder.hidden], ...[...names].map(([value, name]) => [name, value] as const)]);
    const whole = await compute(gradients, FEEDS);
    const first = await compute(forward, FEEDS);
    const split = await compute(gradients, new Map([...FEEDS, ...first]), names);
    for (const [parameter, expected] of whole) {
      expectClose(split.get(parameter)!, expected, name === "interpreter" ? 0 : 1e-6, parameter);
    }
  });

  test("no matrix product, softmax or rotation of the forward graph is computed twice", () => {
    const forward = new Set(topological([decoder.hidden]));
    const again = topological([...gradients.values()], new Set(saved)).filter(
      (value) => forward.has(value) && value.operator && !names.has(value),
    );
    expect(again.length).toBeGreaterThan(0);
    expect(again.filter(({ operator }) => operator!.isResidual)).toEqual([]);
  });

  test("nothing is a residual that the backward graph does not read", () => {
    const read = new Set(topological([...gradients.values()], new Set(saved)));
    expect(saved.filter((value) => !read.has(value))).toEqual([]);
  });
});

describe("padding on the right", () => {
  const { decoder, gradients } = differentiated();
  const outputs = new Map([...gradients, ["hidden", decoder.hidden]]);
  const PADDING = 2;

  /** Two sequences of LENGTH tokens, each with PADDING more that hold garbage and have no part in the loss. */
  const padded = (name: string, pad: (shape: number[]) => Tensor64) => {
    const rows = FEEDS.get(name)!;
    const parts = [0, 1].flatMap((b) => [slice(rows, b * LENGTH, (b + 1) * LENGTH), pad([PADDING, CONFIG.hiddenSize])]);
    return stack(parts);
  };
  const garbage = passInputs(
    padded("embeddings", (shape) => noise(random, shape)),
    BATCH,
  );
  const seed = padded("dhidden", (shape) => tabulate(shape, () => 0));
  const long = new Map([...FEEDS, ...garbage, ["dhidden", seed] as const]);
  const atPadding = (x: Tensor64) =>
    stack([0, 1].map((b) => slice(x, b * (LENGTH + PADDING) + LENGTH, (b + 1) * (LENGTH + PADDING))));
  const atTokens = (x: Tensor64) =>
    stack([0, 1].map((b) => slice(x, b * (LENGTH + PADDING), b * (LENGTH + PADDING) + LENGTH)));

  async function expectUnchanged(compute: Compute, tolerance: { hidden: number; gradients: number }) {
    const without = await compute(outputs, FEEDS);
    const found = await compute(outputs, long);
    for (const [name, expected] of without) {
      const rows = ["hidden", "d.embeddings"].includes(name);
      const all = found.get(name)!;
      expectClose(
        rows ? atTokens(all) : all,
        expected,
        name === "hidden" ? tolerance.hidden : tolerance.gradients,
        name,
      );
    }
  }

  test("changes no bit of hidden states and gradients in exact order of summation", () =>
    expectUnchanged(interpreted, { hidden: 0, gradients: 0 }));

  // Its matrix products add up in an order that depends on their sizes: that is rounding, not padding.
  test("changes hidden states and gradients of ONNX Runtime within rounding", () =>
    expectUnchanged(runtime, { hidden: 1e-6, gradients: 5e-6 }));

  test.each(ENGINES)("receives no gradient: $name", async ({ compute }) => {
    const found = await compute(outputs, long);
    expect(atPadding(found.get("d.embeddings")!).data.every((x) => x === 0)).toBe(true);
  });
});

describe("decoding with a cache", () => {
  const decoder = buildDecoder(CONFIG, LORA, { cached: true });
  const outputs = new Map([["hidden", decoder.hidden], ...decoder.now]);
  const TOTAL = 5;
  const COLUMNS = 7;

  /** A cache full of what nobody may see. */
  const garbage = (batch: number) =>
    new Map(
      [...decoder.now.keys()].map((name) => [
        name.replace("now.", "past."),
        noise(random, [batch, CONFIG.kvHeads, COLUMNS, CONFIG.headDim]),
      ]),
    );

  /** Puts new keys or values [batch, kvHeads, length, headDim] behind the `lengths[b]` that are there. */
  const written = (cache: Tensor64, now: Tensor64, lengths: readonly number[]) =>
    tabulate(cache.shape, ([b, h, column, i]) => {
      const t = column! - lengths[b!]!;
      return t >= 0 && t < now.shape[2]! ? at(now, [b!, h!, t, i!]) : at(cache, [b!, h!, column!, i!]);
    });

  /** Feeds sequences in chunks, after `before` tokens that were read; gives the hidden states of each [.., hidden]. */
  async function decode(
    compute: Compute,
    sequences: readonly Tensor64[],
    chunks: readonly number[],
    start: { cache: Feeds; lengths: readonly number[] } = {
      cache: garbage(sequences.length),
      lengths: sequences.map(() => 0),
    },
  ) {
    let { cache, lengths } = start;
    let from = 0;
    const hidden: Tensor64[][] = sequences.map(() => []);
    for (const chunk of chunks) {
      const embeddings = stack(sequences.map((each) => slice(each, from, from + chunk)));
      const feeds = new Map([...WEIGHTS, ...cachedInputs(embeddings, lengths, COLUMNS), ...cache]);
      const results = await compute(outputs, feeds);
      for (const [b, rows] of hidden.entries()) rows.push(slice(results.get("hidden")!, b * chunk, (b + 1) * chunk));
      cache = new Map(
        [...cache].map(([name, tensor]) => [
          name,
          written(tensor, results.get(name.replace("past.", "now."))!, lengths),
        ]),
      );
      lengths = lengths.map((length) => length + chunk);
      from += chunk;
    }
    return { hidden: hidden.map(stack), cache, lengths };
  }

  const sequences = [0, 1].map(() => noise(random, [TOTAL, CONFIG.hiddenSize]));
  const whole = (sequence: Tensor64) =>
    evaluate([buildDecoder(CONFIG, LORA).hidden], new Map([...WEIGHTS, ...passInputs(sequence, 1)]))[0]!;

  const CHUNKS = [
    { how: "one token at a time", chunks: [1, 1, 1, 1, 1] },
    { how: "a prompt, then one token at a time", chunks: [3, 1, 1] },
    { how: "in chunks", chunks: [2, 2, 1] },
  ];
  describe.each(ENGINES)("$name", ({ compute, tolerance }) => {
    test.each(CHUNKS)("$how equals one whole pass", async ({ chunks }) => {
      const { hidden } = await decode(compute, sequences, chunks);
      for (const [b, sequence] of sequences.entries())
        expectClose(hidden[b]!, whole(sequence), tolerance, `sequence ${b}`);
    });

    test("sequences of unequal length side by side, one of which has just begun, equal their own passes", async () => {
      const [first, second] = sequences;
      const { cache, lengths } = await decode(compute, [slice(first!, 0, 3)], [3]);
      const fresh = garbage(1);
      const both = new Map([...cache].map(([name, tensor]) => [name, stack([tensor, fresh.get(name)!])]));
      const start = { cache: both, lengths: [...lengths, 0] };
      const { hidden } = await decode(compute, [slice(first!, 3, TOTAL), slice(second!, 0, 2)], [1, 1], start);
      expectClose(hidden[0]!, slice(whole(first!), 3, TOTAL), tolerance, "the older one");
      expectClose(hidden[1]!, whole(slice(second!, 0, 2)), tolerance, "the younger one");
    });
  });
});
