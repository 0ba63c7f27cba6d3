import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Segment } from "../../src/data/segment.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { tokensOf } from "../../src/data/tokens-of.ts";
import { FIXTURES, KINDS, rightOf } from "./tokenizer/fixtures.ts";

const learned = (segments: readonly Segment[], kind: string, specialTokens = false) => {
  const tokenizer = loadTokenizer(join(FIXTURES, kind));
  const { tokens, weights, shared } = tokensOf(segments, tokenizer, { specialTokens });
  return {
    shared,
    words: tokens.map((id, i) => [tokenizer.decode([id], { specialTokens: true }), weights[i]] as const),
  };
};

describe("a border within a token", () => {
  test("the token that holds a character of what is learned is learned", () => {
    const given = { text: "a ", weight: 0 };
    const { words, shared } = learned([given, { text: "be", weight: 1 }], "byte-level");
    expect(words.map(([word]) => word).join("")).toBe("a be");
    expect(words.at(-1)).toEqual([" be", 1]);
    expect(shared).toBe(true);
  });

  test("a character that is split into bytes belongs to its segment with all of them", () => {
    // ▁, a, four bytes, b
    const { words } = learned(
      [
        { text: "a", weight: 0 },
        { text: "𐀀", weight: 0.5 },
        { text: "b", weight: 0 },
      ],
      "llama-2",
    );
    expect(words.map(([, weight]) => weight)).toEqual([0, 0, 0.5, 0.5, 0.5, 0.5, 0]);
  });

  test("the greatest weight of those it touches counts", () => {
    const { words } = learned(
      [
        { text: "a ", weight: 0.25 },
        { text: "b", weight: 0.5 },
        { text: "e", weight: 0 },
      ],
      "byte-level",
    );
    expect(words).toEqual([
      ["a", 0.25],
      [" be", 0.5],
    ]);
  });

  test("an accent that melts into its letter makes the letter learned", () => {
    const { words } = learned(
      [
        { text: "e", weight: 0 },
        { text: "\u0301", weight: 1 },
      ],
      "qwen",
    );
    expect(words).toEqual([["é", 1]]);
  });
});

test("the prefix space belongs to the first character; what is put before a text is given", () => {
  expect(learned([{ text: "be", weight: 1 }], "llama-2", true).words[0]).toEqual(["<s>", 0]);
  expect(learned([{ text: "\n", weight: 1 }], "llama-2").words[0]![1]).toBe(1);
  expect(
    learned(
      [
        { text: "\n", weight: 0 },
        { text: "a", weight: 1 },
      ],
      "llama-2",
    ).words[0]![1],
  ).toBe(0);
});

describe.each(KINDS)("%s", (kind) => {
  const tokenizer = loadTokenizer(join(FIXTURES, kind));
  const right = rightOf(kind);
  const cutText = fc.tuple(fc.integer({ min: 0, max: right.length - 1 }), fc.double({ min: 0, max: 1, noNaN: true }));

  test("wherever a text is cut, tokens are those of the whole and learned by the characters they hold", () => {
    fc.assert(
      fc.property(cutText, ([index, share]) => {
        const { text, ids } = right[index]!;
        let at = Math.floor(share * text.length);
        if (/[\udc00-\udfff]/.test(text[at] ?? "")) at++;
        const segments = [
          { text: text.slice(0, at), weight: 0 },
          { text: text.slice(at), weight: 1 },
        ];
        const { tokens, weights, shared } = tokensOf(segments, tokenizer);
        expect(tokens).toEqual(ids);
        const { starts, ends } = tokenizer.encodeSpans(text);
        expect(weights).toEqual([...ends].map((end) => (end > at ? 1 : 0)));
        expect(shared).toBe([...ends].some((end, i) => starts[i]! < at && end > at));
      }),
      { numRuns: 300 },
    );
  });
});
