import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Datum } from "../../src/data/datum.ts";
import { logSoftmax, type Tensor } from "../../src/divergence/index.ts";
import { crossEntropyLoss } from "../../src/loss/cross-entropy.ts";
import { compose, Entropy, excludeTokens, JensenShannon, KLDivergence } from "../../src/regularizer/index.ts";
import { measuredInParts, shuffledParts, whole } from "../loss/in-parts.ts";
import { certainty } from "./certainty.ts";
import { datumOf } from "./datums.ts";

/** @file What does not count changes nothing, and neither does how a batch is split: in value, gradient and every metric. */

const VOCABULARY = 5;

interface Row {
  readonly target: number;
  readonly weight: number;
  readonly p: readonly number[];
  readonly q: readonly number[];
}

/** Rows of a datum, as datum and log-probabilities. */
function build(rows: readonly Row[]): { datum: Datum; logprobs: Tensor } {
  const matrix = (side: "p" | "q") => ({
    data: Float32Array.from(rows.flatMap((row) => row[side])),
    shape: [rows.length, VOCABULARY],
  });
  const [p, q] = [logSoftmax(matrix("p")), logSoftmax(matrix("q"))];
  // Rows that do not count hold what would break everything if they did.
  for (const [r, { weight }] of rows.entries()) {
    if (weight !== 0) continue;
    p.data.fill(Number.NaN, r * VOCABULARY, (r + 1) * VOCABULARY);
    q.data.fill(7, r * VOCABULARY, (r + 1) * VOCABULARY);
  }
  const targets = rows.map(({ target }) => target);
  const weights = rows.map(({ weight }) => weight);
  return { datum: datumOf(weights, { targets, fields: { base: q } }), logprobs: p };
}

/** Everything that a step makes of a batch that comes in parts. */
async function measure({ data, logprobs }: Batch, parts = whole(data)) {
  const composition = compose([
    { regularizer: { name: "task", ...crossEntropyLoss() }, weight: 1 },
    { regularizer: new KLDivergence({ name: "forward", referenceField: "base", clip: 2 }), weight: 0.5 },
    {
      regularizer: excludeTokens(
        new KLDivergence({ name: "reverse", referenceField: "base", direction: "model||reference" }),
        [0, 3],
      ),
      weight: 2,
    },
    { regularizer: new KLDivergence({ name: "sum", referenceField: "base", reduction: "sum" }), weight: 0.1 },
    { regularizer: new JensenShannon({ referenceField: "base" }), weight: 0 },
    { regularizer: new Entropy(), weight: 0.3 },
    { regularizer: certainty(), weight: 0.7 },
  ]);
  const { value, gradient, members } = await measuredInParts(composition, data, logprobs, parts, {
    step: { full: true },
  });
  const metrics = Object.entries(members).flatMap(([name, { metrics, logit_grad_norm }]) => [
    ...Object.entries(metrics).map(([metric, number]) => [`${name}/${metric}`, number] as const),
    [`${name}/logit_grad_norm`, logit_grad_norm!] as const,
  ]);
  return {
    loss: value,
    metrics: Object.fromEntries(metrics),
    gradient: gradient.flatMap(({ data }) => [...data]),
  };
}

interface Batch {
  readonly data: readonly Datum[];
  readonly logprobs: readonly Tensor[];
}

type Measured = Awaited<ReturnType<typeof measure>>;

function expectSame(found: Measured, expected: Measured): void {
  expect(Object.keys(found.metrics).sort()).toEqual(Object.keys(expected.metrics).sort());
  for (const [name, value] of Object.entries(expected.metrics)) expect(found.metrics[name], name).toBeCloseTo(value, 5);
  expect(found.loss).toBeCloseTo(expected.loss, 5);
  expect(found.gradient).toHaveLength(expected.gradient.length);
  for (const [i, slope] of expected.gradient.entries()) expect(found.gradient[i]).toBeCloseTo(slope, 5);
}

const logits = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: VOCABULARY, maxLength: VOCABULARY });
const row = fc.record({
  target: fc.integer({ min: 0, max: VOCABULARY - 1 }),
  weight: fc.constantFrom(0, 0.5, 1, 1, 3),
  p: logits,
  q: logits,
});
const rowsOfBatch = fc.array(fc.array(row, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 });

const batchOf = (rows: readonly (readonly Row[])[]): Batch => {
  const built = rows.map(build);
  return { data: built.map(({ datum }) => datum), logprobs: built.map(({ logprobs }) => logprobs) };
};

describe("nothing changes", () => {
  test("when a batch comes in parts, cut anywhere", async () => {
    await fc.assert(
      fc.asyncProperty(rowsOfBatch, fc.integer({ min: 1, max: 1000 }), async (rows, seed) => {
        const batch = batchOf(rows);
        expectSame(await measure(batch, shuffledParts(batch.data, seed)), await measure(batch));
      }),
      { numRuns: 60 },
    );
  });

  test("when rows are added that do not count", async () => {
    const padding: Row = { target: 1, weight: 0, p: [1, 2, 3, 4, 5], q: [5, 4, 3, 2, 1] };
    await fc.assert(
      fc.asyncProperty(rowsOfBatch, fc.array(fc.nat(3)), async (rows, counts) => {
        const plain = batchOf(rows);
        const padded = batchOf([
          ...rows.map((each, i) => [...each, ...Array.from({ length: counts[i] ?? 0 }, () => padding)]),
          [padding],
        ]);
        const [found, expected] = await Promise.all([plain, padded].map((each) => measure(each)));
        const real = found!.gradient;
        let at = 0;
        const kept = rows.flatMap((each, i) => {
          const begin = at;
          at += (each.length + (counts[i] ?? 0)) * VOCABULARY;
          return expected!.gradient.slice(begin, begin + each.length * VOCABULARY);
        });
        expect(kept).toEqual(real);
        expect(expected!.gradient.filter((slope) => slope !== 0)).toHaveLength(real.filter((s) => s !== 0).length);
        expectSame({ ...expected!, gradient: real }, found!);
      }),
      { numRuns: 60 },
    );
  });

  test("when the order of the data is another", async () => {
    await fc.assert(
      fc.asyncProperty(rowsOfBatch, async (rows) => {
        const [there, back] = [batchOf(rows), batchOf([...rows].reverse())];
        const [one, other] = [await measure(there), await measure(back)];
        expectSame({ ...other, gradient: [] }, { ...one, gradient: [] });
      }),
      { numRuns: 30 },
    );
  });
});

test("a row of weight 2 is that row twice, in every metric", async () => {
  const one: Row = { target: 1, weight: 1, p: [1, 0, 0, 2, 0], q: [0, 1, 0, 0, 2] };
  const two: Row = { target: 2, weight: 1, p: [0, 3, 0, 0, 1], q: [0, 2, 1, 0, 0] };
  const [heavy, twice] = [batchOf([[{ ...one, weight: 2 }, two]]), batchOf([[one, one, two]])];
  const [found, expected] = [await measure(heavy), await measure(twice)];
  for (const [name, value] of Object.entries(expected.metrics)) {
    // Norms are of gradients per row, and twice the row has twice the rows.
    if (!/grad_norm|cosine/.test(name)) expect(found.metrics[name], name).toBeCloseTo(value, 5);
  }
  expect(found.loss).toBeCloseTo(expected.loss, 5);
});
