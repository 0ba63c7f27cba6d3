import { describe, expect, it } from "vitest";
import { attentionMask, decoderDims, tokenPositions } from "../../../src/engine/families/columns.ts";
import { CONFIG } from "./decoder-inputs.ts";

const GROUP = CONFIG.heads / CONFIG.kvHeads;
const way = (window: number | null) => ({ name: "", window, rope: { theta: 100 } });

describe("a mask", () => {
  it.each([null, 1, 2, 3, 100])("of whole sequences shows the last tokens up to the query's: window %s", (window) => {
    const length = 5;
    const { data, shape } = attentionMask(CONFIG, way(window), { starts: [0, 0], length });
    expect(shape).toEqual([GROUP * length, length]);
    for (const [i, score] of data.entries()) {
      const [query, seen] = [Math.floor(i / length) % length, i % length];
      const isSeen = seen <= query && query - seen < (window ?? length);
      expect(score, `${query} sees ${seen}`).toBe(isSeen ? 0 : Math.fround(-1e30));
    }
  });

  it.each([null, 2])("with a cache counts earlier columns, and hides padding before a start: window %s", (window) => {
    const [starts, length, past] = [[0, 3], 2, 4];
    const context = past + length;
    const { data, shape } = attentionMask(CONFIG, way(window), { starts, length, past });
    expect(shape).toEqual([2, 1, GROUP * length, context]);
    for (const [i, score] of data.entries()) {
      const row = Math.floor(i / context);
      const start = starts[Math.floor(row / (GROUP * length))]!;
      const [query, seen] = [past + (row % length), i % context];
      const isSeen = start <= seen && seen <= query && query - seen < (window ?? context);
      expect(score, `${query} sees ${seen}`).toBe(isSeen ? 0 : Math.fround(-1e30));
    }
  });
});

describe("positions and sizes", () => {
  it("count from each sequence's start, also after earlier columns", () => {
    expect(tokenPositions({ starts: [0, 0], length: 3 })).toEqual({
      data: Int32Array.of(0, 1, 2, 0, 1, 2),
      shape: [2, 3],
    });
    expect(tokenPositions({ starts: [0, 5], length: 2, past: 4 })).toEqual({
      data: Int32Array.of(4, 5, 0, 0),
      shape: [2, 2],
    });
    expect(decoderDims(CONFIG, { starts: [0, 5], length: 2, past: 4 })).toEqual({
      batch: 2,
      length: 2,
      tokens: 4,
      queries: 2 * GROUP,
      past: 4,
      context: 6,
    });
  });
});
