import { describe, expect, it } from "vitest";
import { attentionMask, decoderDims, tokenPositions } from "../../../src/engine/families/columns.ts";
import { CONFIG } from "./decoder-inputs.ts";

const GROUP = CONFIG.heads / CONFIG.kvHeads;
const way = (window: number | null) => ({ name: "", window, rope: { theta: 100 } });

describe("a mask", () => {
  it.each([null, 1, 2, 3, 100])("of whole sequences shows the last tokens up to the query's: window %s", (window) => {
    const length = 5;
    const { data, shape } = attentionMask(CONFIG, way(window), { batch: 2, length });
    expect(shape).toEqual([GROUP * length, length]);
    for (const [i, score] of data.entries()) {
      const [query, seen] = [Math.floor(i / length) % length, i % length];
      const isSeen = seen <= query && query - seen < (window ?? length);
      expect(score, `${query} sees ${seen}`).toBe(isSeen ? 0 : Math.fround(-1e30));
    }
  });

  it.each([null, 1, 2, 3])("with a cache shows each sequence its own columns there: window %s", (window) => {
    const [lengths, length, columns] = [[4, 1, 0], 2, 5];
    const context = columns + length;
    const { data, shape } = attentionMask(CONFIG, way(window), { batch: 3, length, cache: { lengths, columns } });
    expect(shape).toEqual([3, 1, GROUP * length, context]);
    for (const [i, score] of data.entries()) {
      const row = Math.floor(i / context);
      const before = lengths[Math.floor(row / (GROUP * length))]!;
      const column = i % context;
      const query = before + (row % length);
      const seen = column < columns ? column : before + column - columns;
      const isThere = column >= columns || column < before;
      const isSeen = isThere && seen <= query && query - seen < (window ?? context);
      expect(score, `${query} sees ${seen}`).toBe(isSeen ? 0 : Math.fround(-1e30));
    }
  });
});

describe("positions and sizes", () => {
  it("count from each sequence's start, also after earlier columns", () => {
    expect(tokenPositions({ batch: 2, length: 3 })).toEqual({
      data: Int32Array.of(0, 1, 2, 0, 1, 2),
      shape: [2, 3],
    });
    const columns = { batch: 2, length: 2, cache: { lengths: [4, 0], columns: 6 } };
    expect(tokenPositions(columns)).toEqual({
      data: Int32Array.of(4, 5, 0, 1),
      shape: [2, 2],
    });
    expect(decoderDims(CONFIG, columns)).toEqual({
      batch: 2,
      length: 2,
      tokens: 4,
      queries: 2 * GROUP,
      past: 6,
      context: 8,
    });
  });
});
