import { describe, expect, expectTypeOf, test } from "vitest";
import { parseDirection } from "../../src/divergence/direction.ts";
import { type Direction, drawnFromModel, klDivergence, sampledKL, selectTopK } from "../../src/divergence/index.ts";
import { logprobs, matrix } from "./oracle.ts";

const [P, Q] = [logprobs([[0.4, 0.3, 0.2, 0.1]]), logprobs([[0.25, 0.25, 0.25, 0.25]])];

describe("a direction", () => {
  test.each([
    ["p||q", "forward"],
    ["q||p", "reverse"],
  ] as const)("%s and its alias %s are the same", (direction, alias) => {
    const drawn = drawnFromModel(matrix([[-1, -2]]));
    for (const compute of [
      (direction: Direction) => klDivergence.withGradient(P, Q, { direction }),
      (direction: Direction) => klDivergence.withGradient(P, selectTopK(Q, 2), { direction }),
      (direction: Direction) => sampledKL.withGradient(drawn, matrix([[-2, -1]]), { direction }),
    ])
      expect(compute(alias)).toEqual(compute(direction));
  });

  test("is p||q by default", () => {
    expect(klDivergence(P, Q)).toBe(klDivergence(P, Q, { direction: "p||q" }));
    expect(klDivergence(P, Q)).not.toBe(klDivergence(P, Q, { direction: "q||p" }));
  });

  test.each([
    ["model||reference", "p||q"],
    ["forward", "p||q"],
    ["reference||model", "q||p"],
    ["reverse", "q||p"],
  ] as const)("with names of its own: %s is %s", (direction, canonical) => {
    expect(parseDirection(direction, "model", "reference")).toBe(canonical);
    expectTypeOf(direction).toExtend<Direction<"model", "reference">>();
  });

  test.each(["p||q", "", "model | reference", "model‖reference", "Forward"])(
    '"%s" is refused in one sentence',
    (text) => {
      expect(() => parseDirection(text, "model", "view")).toThrow(
        new RangeError(
          `direction is "${text}", expected "model||view" (alias "forward") or "view||model" (alias "reverse")`,
        ),
      );
    },
  );

  test("is refused even where symmetric makes it irrelevant", () => {
    expect(() => klDivergence(P, Q, { direction: "model||q" as "p||q", symmetric: true })).toThrow(
      'direction is "model||q"',
    );
  });
});
