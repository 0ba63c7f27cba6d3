import { describe, expect, test } from "vitest";
import { pipeline } from "../../../src/data/tokenizer/pipeline.ts";
import { definitionOf, KINDS, type Right, rightOf, variants } from "./fixtures.ts";

/** The texts whose tokens, or whose decoded text, are not those of Python. */
function differing(definition: ReturnType<typeof definitionOf>, right: readonly Right[]): string[] {
  const stages = pipeline(definition);
  return right
    .filter(({ text, ids, decoded }) => {
      const found = stages.tokenize(text);
      return found.unknown !== null || found.ids.join() !== ids.join() || stages.decode(ids) !== decoded;
    })
    .map(({ text }) => text);
}

test("the six kinds are there, each with at least 2,000 texts", () => {
  expect(KINDS).toEqual(["byte-level", "gemma", "llama-2", "metaspace", "qwen", "unigram"]);
  for (const kind of KINDS) expect(rightOf(kind).length).toBeGreaterThanOrEqual(2000);
});

describe("ids and decoded texts are those of Python's tokenizers", () => {
  test.each(KINDS)("%s", (kind) => {
    expect(differing(definitionOf(kind), rightOf(kind))).toEqual([]);
  });

  test.each(variants())("$name", ({ kind, changes, right }) => {
    expect(differing({ ...definitionOf(kind), ...changes }, right)).toEqual([]);
  });
});

describe("offsets are those of Python's tokenizers", () => {
  const spansOf = (kind: string) => {
    const stages = pipeline(definitionOf(kind));
    return rightOf(kind).map(({ text, offsets }) => {
      const { starts, ends } = stages.tokenize(text);
      return { text, offsets, found: starts.map((start, i) => [start, ends[i]!] as const) };
    });
  };

  test.each(["byte-level", "gemma", "llama-2", "metaspace"])("%s", (kind) => {
    for (const { text, offsets, found } of spansOf(kind)) expect(found, JSON.stringify(text)).toEqual(offsets);
  });

  test("qwen: where NFC changes a text, a token also holds the marks that melted into its characters", () => {
    let wider = 0;
    for (const { text, offsets, found } of spansOf("qwen")) {
      if (text.normalize("NFC") === text) expect(found, JSON.stringify(text)).toEqual(offsets);
      for (const [i, [start, end]] of found.entries()) {
        expect(start).toBeLessThanOrEqual(offsets[i]![0]);
        expect(end).toBeGreaterThanOrEqual(offsets[i]![1]);
        if (end > offsets[i]![1]) wider++;
      }
    }
    expect(wider).toBeGreaterThan(0);
  });

  test("unigram: of a run of unknown characters each byte holds its own, where Python's hold the whole run", () => {
    let narrower = 0;
    for (const { text, offsets, found } of spansOf("unigram")) {
      for (const [i, [start, end]] of found.entries()) {
        expect(start, JSON.stringify(text)).toBeGreaterThanOrEqual(offsets[i]![0]);
        expect(end, JSON.stringify(text)).toBeLessThanOrEqual(offsets[i]![1]);
        if (end - start < offsets[i]![1] - offsets[i]![0]) narrower++;
      }
      const held = found.flatMap(([start, end]) => Array.from({ length: end - start }, (_, at) => start + at));
      expect(new Set(held).size, JSON.stringify(text)).toBe(text.length);
    }
    expect(narrower).toBeGreaterThan(0);
  });
});

describe("added tokens are found as Python's tokenizers finds them", () => {
  const byteLevel = definitionOf("byte-level");
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  const added = [
    { id: 1205, content: "<R>", rstrip: true },
    { id: 1206, content: "<L>", lstrip: true },
    { id: 1207, content: "  " },
    { id: 1208, content: "a" },
  ].map((token) => ({ ...flags, ...token }));
  const stages = pipeline({ ...byteLevel, added_tokens: [...(byteLevel.added_tokens ?? []), ...added] });

  // Ids and offsets are those of tokenizers 0.23.
  test.each<[string, number[], [number, number][]]>([
    [
      "<R>    x",
      [1205, 1207, 1207, 90],
      [
        [0, 7],
        [3, 5],
        [5, 7],
        [7, 8],
      ],
    ],
    [
      "x    <L>",
      [90, 1207, 1207, 1206],
      [
        [0, 1],
        [1, 3],
        [3, 5],
        [5, 8],
      ],
    ],
    [
      "<R>   <L>",
      [1205, 1207, 1206],
      [
        [0, 6],
        [3, 5],
        [5, 9],
      ],
    ],
    [
      "<R>\n  \n  x",
      [1205, 1207, 201, 1207, 90],
      [
        [0, 9],
        [4, 6],
        [6, 7],
        [7, 9],
        [9, 10],
      ],
    ],
    [
      "  <L>  <R>  ",
      [1207, 1206, 1207, 1205, 1207],
      [
        [0, 2],
        [2, 5],
        [5, 7],
        [7, 12],
        [10, 12],
      ],
    ],
  ])("within the white space that another takes along: %j", (text, ids, offsets) => {
    const found = stages.tokenize(text);
    expect(found.ids).toEqual(ids);
    expect(found.starts.map((start, i) => [start, found.ends[i]])).toEqual(offsets);
  });

  test("one that the vocabulary has keeps its id there", () => {
    expect(stages.tokenize("banana").ids).toEqual([68, 67, 80, 67, 80, 67]);
  });
});
