import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { pictures } from "../../scripts/divergence-pictures.ts";
import { DOCS, readPage, runSnippets } from "./page.ts";

/** @file The page on divergences: its snippets run and give what they say, and its pictures are what the library draws. */

const page = readPage("divergences.md");

describe("snippets", () => {
  test.each(page.blocks("ts").map((code, i) => [i, code] as const))("%d", async (_, code) => {
    expect(await runSnippets(code)).toBe(code.match(/^[^/]*; \/\/ [-[\d]/gm)!.length);
  });
});

test("pictures are what the script draws", () => {
  const number = /-?\d+(\.\d+)?/g;
  const drawn = pictures();
  for (const [name, svg] of Object.entries(drawn)) {
    const committed = readFileSync(new URL(`images/${name}`, DOCS), "utf8");
    expect(committed.replace(number, "#")).toBe(svg.replace(number, "#"));
    const [found, expected] = [committed, svg].map((each) => each.match(number)!.map(Number));
    // To a fraction of a pixel: kernels and machines differ in the last digits.
    for (const [i, x] of expected!.entries()) expect(Math.abs(found![i]! - x)).toBeLessThan(0.3);
    expect(page.text).toContain(`images/${name}`);
  }
});
