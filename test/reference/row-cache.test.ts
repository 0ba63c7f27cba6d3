import { describe, expect, test } from "vitest";
import { topK } from "../../src/divergence/supports/top-k.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import { RowCache } from "../../src/reference/row-cache.ts";

/** Rows of four bytes a number. */
const rows = (numbers: number): Tensor => tensor(new Float32Array(numbers), [1, numbers]);
const key = (name: string) => ({ name });
const [A, B, C, D] = [key("a"), key("b"), key("c"), key("d")] as const;

function filled(maxBytes: number, ...batches: (readonly (readonly [object, Tensor])[])[]): RowCache<object, Tensor> {
  const cache = new RowCache<object, Tensor>(maxBytes);
  for (const batch of batches) cache.keep(new Map(batch));
  return cache;
}

const known = (cache: RowCache<object, Tensor>) => [A, B, C, D].map((one) => cache.get(one) !== undefined);

describe("a row cache", () => {
  test("gives the very rows it was given, by the identity of their key", () => {
    const one = rows(2);
    const cache = filled(100, [[A, one]]);
    expect(cache.get(A)).toBe(one);
    expect(cache.get({ ...A })).toBeUndefined();
  });

  test("is full at its limit of bytes, not before", () => {
    expect(known(filled(24, [[A, rows(2)]], [[B, rows(2)]], [[C, rows(2)]]))).toEqual([true, true, true, false]);
    expect(known(filled(23, [[A, rows(2)]], [[B, rows(2)]], [[C, rows(2)]]))).toEqual([false, true, true, false]);
  });

  test("drops the least recently used first, not the oldest", () => {
    const one = rows(2);
    const cache = filled(24, [[A, one]], [[B, rows(2)]], [[C, rows(2)]], [[A, one]], [[D, rows(2)]]);
    expect(known(cache)).toEqual([true, false, true, true]);
  });

  test("drops no more than it must", () => {
    expect(known(filled(24, [[A, rows(4)]], [[B, rows(1)]], [[C, rows(2)]]))).toEqual([false, true, true, false]);
  });

  test("keeps the latest batch, whatever it takes, and only until the next", () => {
    const batch = [A, B, C].map((one) => [one, rows(100)] as const);
    expect(known(filled(8, [[D, rows(2)]], batch))).toEqual([true, true, true, false]);
    expect(known(filled(8, batch, [[D, rows(2)]]))).toEqual([false, false, false, true]);
  });

  test("counts rows that take the place of others once, and a top-k with its tokens and its rest", () => {
    const cache = filled(24, [[A, rows(4)]], [[A, rows(2)]], [[B, rows(4)]]);
    expect(known(cache)).toEqual([true, true, false, false]);
    const some = topK({ data: new Int32Array(1), shape: [1, 1] }, rows(1), { tail: tensor([0], [1]) });
    for (const [maxBytes, kept] of [
      [16, true],
      [15, false],
    ] as const) {
      const cache = new RowCache<object, Tensor | typeof some>(maxBytes);
      cache.keep(new Map([[A, some]]));
      cache.keep(new Map([[B, rows(1)]]));
      expect(cache.get(A) !== undefined).toBe(kept);
    }
  });
});
