import { existsSync, readFileSync } from "node:fs";
import { compileFunction } from "node:vm";
import { describe, expect, test } from "vitest";
import { pictures } from "../../scripts/divergence-pictures.ts";
import * as divergence from "../../src/divergence/index.ts";

/** @file The page on divergences: its snippets run and give what they say, and its pictures are what the library draws. */

const DOCS = new URL("../../docs/", import.meta.url);
const page = readFileSync(new URL("divergences.md", DOCS), "utf8");
const snippets = [...page.matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1]!);

describe("snippets", () => {
  test.each(snippets.map((code, i) => [i, code] as const))("%d", (_, code) => {
    const [, names, body] = /^import \{ (.*?) \} from "klamp\/divergence";\n(.*)$/s.exec(code)!;
    for (const name of names!.split(", ")) expect(divergence).toHaveProperty(name);
    // `expression; // 0.5` and `expression; // [1, 2]` promise what the expression gives.
    const checked = body!.replace(/^([a-zA-Z].*?); \/\/ (-?[\d.]+|\[.*\])$/gm, (line, expression, promised) =>
      expression.startsWith("const") ? line : `check(${expression}, ${promised});`,
    );
    let promises = 0;
    const check = (found: number | ArrayLike<number>, promised: number | number[]) => {
      promises++;
      const numbers = typeof found === "number" ? [found] : [...Array.from(found)];
      const expected = [promised].flat();
      expect(numbers).toHaveLength(expected.length);
      for (const [i, number] of numbers.entries()) expect(Math.abs(number - expected[i]!)).toBeLessThan(1e-5);
    };
    compileFunction(checked, ["check", ...Object.keys(divergence)])(check, ...Object.values(divergence));
    expect(promises).toBe(code.split("\n").filter((line) => /^[^/]*; \/\/ [-[\d]/.test(line)).length);
    expect(promises).toBeGreaterThan(0);
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
    expect(page).toContain(`images/${name}`);
  }
});

test("every picture and link of the page leads somewhere", () => {
  for (const [, target] of page.matchAll(/\]\(([^)#]+)\)/g)) expect(existsSync(new URL(target!, DOCS))).toBe(true);
});
