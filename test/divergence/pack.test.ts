import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jensenShannon, klDivergence, pack, type Tensor, tensor, unpack } from "../../src/divergence/index.ts";
import { logprobs, matrix } from "./oracle.ts";

const V = 3;
/** Texts of unequal length, empty ones among them: logits of the model and of the reference. */
const text = fc.integer({ min: 0, max: 4 }).chain((rows) => {
  const logits = fc
    .array(fc.float({ min: -5, max: 5, noNaN: true }), { minLength: rows * V, maxLength: rows * V })
    .map((data) => tensor(data, [rows, V]));
  return fc.record({ p: logits, q: logits });
});
const texts = fc.array(text, { minLength: 1, maxLength: 5 });
const LONGEST = 4;
const padded = (parts: readonly Tensor[]): Tensor => {
  const data = new Float32Array(parts.length * LONGEST * V).fill(Number.NaN);
  for (const [i, part] of parts.entries()) data.set(part.data, i * LONGEST * V);
  return { data, shape: [parts.length, LONGEST, V] };
};

test("packed rows have the value and gradients of padded ones, whose padding is masked", () => {
  fc.assert(
    fc.property(texts, (texts) => {
      const [p, q] = [texts.map(({ p }) => p), texts.map(({ q }) => q)];
      const packed = pack(p);
      const weights = p.flatMap(({ shape }) => Array.from({ length: LONGEST }, (_, i) => (i < shape[0]! ? 1 : 0)));
      for (const divergence of [klDivergence, jensenShannon]) {
        const one = divergence.withGradient(packed, pack(q), { input: "logits" });
        const other = divergence.withGradient(padded(p), padded(q), { input: "logits", weights });
        expect(one.value).toBe(other.value);
        for (const [i, part] of unpack(one.gradient, packed.offsets).entries()) {
          const from = i * LONGEST * V;
          expect(part.shape).toEqual(p[i]!.shape);
          expect(part.data).toEqual(other.gradient.data.slice(from, from + part.data.length));
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("unpack gives the parts back as views, of per-row values too", () => {
  const parts = [
    matrix([[1, 2]]),
    tensor([], [0, 2]),
    matrix([
      [3, 4],
      [5, 6],
    ]),
  ];
  const packed = pack(parts);
  expect(packed.shape).toEqual([3, 2]);
  expect([...packed.offsets]).toEqual([0, 1, 1, 3]);
  const again = unpack(packed, packed.offsets);
  expect(again).toEqual(parts);
  again[2]!.data[0] = 9;
  expect(packed.data[2]).toBe(9);
  expect(unpack(tensor([7, 8, 9], [3]), packed.offsets).map(({ data }) => [...data])).toEqual([[7], [], [8, 9]]);
});

test("a mean over texts of unequal length is no mean of their means: 10/4 = 2.5, not 2", () => {
  // KL of a certain model from a reference that gives its token e^−x is x nats.
  const certain = logprobs([[1, 0]]);
  const costs = (nats: number) => matrix([[-nats, Math.log1p(-Math.exp(-nats))]]);
  const [p, q] = [pack([certain, pack([certain, certain, certain])]), pack([costs(1), pack([3, 3, 3].map(costs))])];
  expect(klDivergence(p, q)).toBeCloseTo(2.5, 6);
  expect(unpack(klDivergence(p, q, { reduction: "none" }), p.offsets).map(({ data }) => [...data])).toEqual([
    [1],
    [3, 3, 3],
  ]);
});

describe("what does not fit is refused in one sentence", () => {
  test.each([
    [() => pack([]), "found no tensors to pack"],
    [
      () => pack([matrix([[1, 2]]), matrix([[1]])]),
      "part 1 is [1, 1] and part 0 [1, 2]: only the first axis may differ",
    ],
    [() => unpack(matrix([[1, 2]]), Int32Array.of(0, 2)), "the offsets end at row 2, the tensor at 1"],
  ])("%#", (act, message) => {
    expect(act).toThrow(RangeError);
    expect(act).toThrow(message);
  });
});
