import { describe, expect, it } from "vitest";
import type { Datum } from "../../../src/data/datum.ts";
import { fromWire, rowsOf, toWire } from "../../../src/engine/tinker/rows.ts";
import { datum } from "./bigram.ts";

const at = (positions: number[], targets: number[]): Datum => {
  const { modelInput, lossInputs } = datum([1, 2, 3], targets);
  return {
    modelInput,
    lossInputs: { ...lossInputs, positions: { data: Int32Array.from(positions), shape: [positions.length] } },
  };
};

describe("rows at positions of their own become cells of the wire", () => {
  it("one a token: [N]", () => {
    const { target_tokens, weights } = toWire(at([2, 0], [5, 4])).lossInputs;
    expect(target_tokens).toEqual({ data: Int32Array.of(4, 0, 5), shape: [3] });
    expect(weights).toEqual({ data: Float32Array.of(1, 0, 1), shape: [3] });
  });

  it("several a token: [N, K], and back in the order of the rows", () => {
    const rows = at([2, 0, 2], [5, 4, 3]);
    expect(toWire(rows).lossInputs.target_tokens).toEqual({ data: Int32Array.of(4, 0, 0, 0, 5, 3), shape: [3, 2] });
    const cells = { data: Float32Array.of(-1, -2, -3, -4, -5, -6), shape: [3, 2] };
    expect(rowsOf(rows, cells)).toEqual({ data: Float32Array.of(-5, -1, -6), shape: [3] });
    expect(() => rowsOf(rows, { data: new Float32Array(3), shape: [3] })).toThrow(
      /shape \[3\] for 3 tokens with 2 targets/,
    );
  });

  it("a row that is nowhere is refused", () => {
    expect(() => toWire(at([3], [1]))).toThrow(/position 3 of 3 tokens/);
    expect(() => toWire({ ...datum([1, 2, 3], [1]), source: "train.jsonl:7" })).toThrow(
      /train.jsonl:7 has 1 targets for 3 tokens/,
    );
  });
});

describe("cells of the wire become rows", () => {
  it("[N, K] has K rows a token; weights are 1 when none are given", () => {
    const lossInputs = { target_tokens: { data: Int32Array.of(4, 0, 5, 3), shape: [2, 2] } };
    expect(fromWire({ tokens: Int32Array.of(1, 2), lossInputs }, "datum 0").lossInputs).toEqual({
      target_tokens: { data: Int32Array.of(4, 0, 5, 3), shape: [4] },
      weights: { data: Float32Array.of(1, 1, 1, 1), shape: [4] },
      positions: { data: Int32Array.of(0, 0, 1, 1), shape: [4] },
    });
  });

  it("shapes that do not fit are refused with both", () => {
    const target_tokens = { data: Int32Array.of(4, 5), shape: [2] };
    const weights = { data: Float32Array.of(1), shape: [1] };
    expect(() => fromWire({ tokens: Int32Array.of(1, 2), lossInputs: { target_tokens, weights } }, "datum 3")).toThrow(
      /datum 3.*\[1\].*\[2\]/,
    );
    expect(() => fromWire({ tokens: Int32Array.of(1), lossInputs: { target_tokens } }, "datum 3")).toThrow(
      /\[2\], expected \[1\] or \[1, K\]/,
    );
    expect(() => fromWire({ tokens: Int32Array.of(1), lossInputs: { weights } }, "datum 3")).toThrow(
      /no integer loss input target_tokens/,
    );
  });
});
