import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chunked, joined } from "../../../src/engine/tinker/chunks.ts";
import { encodeDatum } from "../../../src/engine/tinker/wire/forward-backward.ts";

const wireDatum = (length: number) => ({
  tokens: new Int32Array(length),
  lossInputs: { weights: { data: new Float32Array(length), shape: [length] } },
});
const logprobs = { data: Float32Array.of(-1), shape: [1] };

describe("a batch is cut into requests", () => {
  it("in order, none too large unless a datum alone is", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 40 })),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 5 }),
        (lengths, most, count) => {
          const data = lengths.map(wireDatum);
          const chunks = chunked(data, most, count);
          expect(chunks.flat()).toEqual(data);
          for (const chunk of chunks) {
            const size = chunk.reduce((sum, each) => sum + encodeDatum(each).length, 0);
            expect(chunk.length === 1 || (size <= most && chunk.length <= count)).toBe(true);
          }
        },
      ),
    );
  });

  it("into as few as a greedy pass needs", () => {
    const size = encodeDatum(wireDatum(3)).length;
    expect(chunked([3, 3, 3, 3, 3].map(wireDatum), 2 * size).map((chunk) => chunk.length)).toEqual([2, 2, 1]);
  });
});

describe("the answers are joined", () => {
  it("datums in order, metrics by their reduction", () => {
    const parts = [
      { outputs: [{ logprobs }], metrics: { "loss:sum": 2, "entropy:mean": 1, "ratio:max": 3, "ratio:min": 3 } },
      {
        outputs: [{ logprobs }, {}, {}],
        metrics: { "loss:sum": 5, "entropy:mean": 5, "ratio:max": 1, "ratio:min": 1 },
      },
    ];
    expect(joined(parts)).toEqual({
      outputs: [{ logprobs }, { logprobs }, {}, {}],
      metrics: { "loss:sum": 7, "entropy:mean": 4, "ratio:max": 3, "ratio:min": 1 },
    });
  });
});
