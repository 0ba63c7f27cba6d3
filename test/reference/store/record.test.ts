import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { klDivergence, logSoftmax, selectTopK, type Tensor, type TopK, tensor } from "../../../src/divergence/index.ts";
import { decodePositions, decodeRows, encodeRows, type StoredRows } from "../../../src/reference/store/record.ts";

/** Random distributions [rows, V], some of them sharp. */
const logits = fc
  .record({ rows: fc.integer({ min: 1, max: 5 }), size: fc.integer({ min: 2, max: 300 }), seed: fc.nat() })
  .map(({ rows, size, seed }) =>
    logSoftmax(
      tensor(
        Float32Array.from({ length: rows * size }, (_, i) => (4 + (seed % 20)) * Math.sin(seed + i * i)),
        [rows, size],
      ),
    ),
  );

function topKRecord(q: Tensor, k: number): StoredRows {
  const rows = q.shape[0]!;
  return {
    positions: Int32Array.from({ length: rows }, (_, i) => 3 * i + 1),
    kept: selectTopK(q, k),
    entropy: Float32Array.from({ length: rows }, (_, i) => i / 8),
  };
}

const format = (width: number, vocabulary: number) => ({ kind: "top-k", width, vocabulary }) as const;

const tokensOf = ({ tokens, logprobs }: TopK, row: number) => {
  const k = tokens.shape[1]!;
  const pairs = Array.from({ length: k }, (_, i) => [tokens.data[row * k + i]!, logprobs.data[row * k + i]!] as const);
  return new Map(pairs.sort(([a], [b]) => a - b));
};

describe("top-k", () => {
  test("tokens come back exactly, log-probabilities to float16, rows sum to 1, and no KL is below 0", () => {
    fc.assert(
      fc.property(logits, fc.nat(), (q, choice) => {
        const [rows, size] = q.shape as [number, number];
        const k = 1 + (choice % Math.min(size, 64));
        const record = topKRecord(q, k);
        const found = decodeRows(encodeRows(record, format(k, size)), format(k, size))!;
        expect([...found.positions]).toEqual([...record.positions]);
        expect([...found.entropy]).toEqual([...record.entropy]);
        for (let row = 0; row < rows; row++) {
          const [before, after] = [tokensOf(record.kept as TopK, row), tokensOf(found.kept as TopK, row)];
          expect([...after.keys()]).toEqual([...before.keys()]);
          let sum = Math.exp((found.kept as TopK).tail!.data[row]!);
          for (const [token, logprob] of after) {
            sum += Math.exp(logprob);
            // Half a step of float16, and what the division by the sum moved.
            expect(Math.abs(logprob - before.get(token)!)).toBeLessThanOrEqual(
              Math.abs(before.get(token)!) * 2 ** -11 + 3e-3,
            );
          }
          expect(sum).toBeCloseTo(1, 6);
        }
        for (const direction of ["forward", "reverse"] as const) {
          const values = klDivergence(q, found.kept as TopK, { direction, reduction: "none" }).data;
          for (const value of values) {
            expect(value).toBeGreaterThanOrEqual(0);
            expect(value).toBeLessThan(2e-5);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test("a kept entry takes at most 4 bytes at k = 64, whatever the tokens, in vocabularies of up to half a million", () => {
    for (const size of [1024, 49_152, 151_936, 500_000]) {
      const q = logSoftmax(
        tensor(
          Float32Array.from({ length: 8 * size }, (_, i) => 3 * Math.sin(i * i)),
          [8, size],
        ),
      );
      expect(encodeRows(topKRecord(q, 64), format(64, size)).length / (8 * 64)).toBeLessThanOrEqual(4);
    }
  });

  test("a rest that is impossible stays so", () => {
    const q = logSoftmax(tensor([1, 2, 3], [1, 3]));
    const { kept } = decodeRows(encodeRows(topKRecord(q, 3), format(3, 3)), format(3, 3))!;
    expect((kept as TopK).tail!.data[0]).toBe(Number.NEGATIVE_INFINITY);
  });
});

describe("hidden states", () => {
  const data = Float32Array.from({ length: 12 }, (_, i) => 7 * Math.sin(i));
  const record: StoredRows = {
    positions: Int32Array.of(0, 5, 300),
    kept: { data, shape: [3, 4] },
    entropy: Float32Array.of(0, 1, 2),
  };
  const hidden = { kind: "hidden", width: 4, vocabulary: 9 } as const;

  test("come back to float16, at two bytes a number", () => {
    const bytes = encodeRows(record, hidden);
    expect(bytes.length).toBe(1 + (1 + 1 + 2) + 2 * 12 + 2 * 3);
    const { kept } = decodeRows(bytes, hidden)!;
    expect((kept as Tensor).shape).toEqual([3, 4]);
    for (const [i, number] of data.entries()) {
      expect(Math.abs((kept as Tensor).data[i]! - number)).toBeLessThanOrEqual(Math.abs(number) * 2 ** -11);
    }
  });

  test("some rows, in the order asked for; undefined when one of them is missing", () => {
    const bytes = encodeRows(record, hidden);
    const whole = (decodeRows(bytes, hidden)!.kept as Tensor).data;
    const { positions, kept, entropy } = decodeRows(bytes, hidden, Int32Array.of(300, 0))!;
    expect([...positions]).toEqual([300, 0]);
    expect([...entropy]).toEqual([2, 0]);
    expect([...(kept as Tensor).data]).toEqual([...whole.subarray(8, 12), ...whole.subarray(0, 4)]);
    expect(decodeRows(bytes, hidden, Int32Array.of(0, 4))).toBeUndefined();
    expect([...decodePositions(bytes)]).toEqual([0, 5, 300]);
  });
});
