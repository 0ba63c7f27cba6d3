import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom, type Random } from "../../../src/common/random.ts";
import { gradients } from "../../../src/engine/graph/gradient.ts";
import * as operators from "../../../src/engine/graph/operators.ts";
import { input, topological, type Value } from "../../../src/engine/graph/value.ts";
import { type Build, CASES, Inputs, type Sizes } from "./cases.ts";
import { expectGradient } from "./finite-differences.ts";
import { evaluate } from "./interpreter.ts";
import { run } from "./onnx-runtime.ts";
import { dot, noise, type Tensor64 } from "./tensor64.ts";

/** A case with sizes and numbers drawn. */
interface Drawn {
  readonly value: Value;
  /** Of named dimensions. */
  readonly sizes: Partial<Sizes>;
  /** All inputs by name, `dy` for the gradient with respect to the value among them. */
  readonly feeds: ReadonlyMap<string, Tensor64>;
  /** By name of the input; none when the operator has no rule. */
  readonly gradients: ReadonlyMap<string, Value>;
  readonly random: Random;
}

function draw(build: Build, sizes: Sizes, named: boolean, seed: number): Drawn {
  const random = createRandom(seed);
  const inputs = new Inputs(sizes, named, random);
  const value = build(inputs);
  const [result] = evaluate([value], inputs.feeds);
  const feeds = new Map(inputs.feeds).set("dy", noise(random, result!.shape));
  const parameters = value.operator!.gradient
    ? topological([value]).filter(({ name }) => name !== undefined && !inputs.constants.has(name))
    : [];
  const found = gradients(value, input("dy", value.shape), parameters);
  return {
    value,
    sizes: named ? sizes : {},
    feeds,
    gradients: new Map(parameters.map(({ name }, i) => [name!, found[i]!])),
    random,
  };
}

const size = fc.integer({ min: 1, max: 4 });
const drawing = [fc.record({ a: size, b: size, m: size, n: size, k: size }), fc.boolean(), fc.nat()] as const;
const RUNS = { numRuns: 8 };

const cases = Object.entries(CASES).flatMap(([operator, builds]) =>
  Object.entries(builds).map(([name, build]) => ({ operator, name: `${operator}, ${name}`, build })),
);
const some = { a: 2, b: 3, m: 2, n: 3, k: 4 };
const differentiable = cases.filter(({ build }) => draw(build, some, false, 1).value.operator!.gradient);

describe("the cases", () => {
  test("there are some for every exported operator", () => {
    const used = new Set(cases.map(({ operator }) => operator));
    expect([...used].sort()).toEqual(Object.keys(operators).sort());
  });

  test.each(cases)("$name: ends in that operator", ({ operator, build }) => {
    expect(draw(build, some, true, 1).value.operator!.name).toBe(operator);
  });

  test.each(differentiable)("$name: a rule for each input but the declared constants", ({ build }) => {
    const inputs = new Inputs(some, true, createRandom(1));
    const value = build(inputs);
    const rules = value.operator!.gradient!(value, input("dy", value.shape));
    expect(rules.length).toBe(value.inputs.length);
    rules.forEach((rule, i) => {
      expect(rule === null).toBe(inputs.constants.has(value.inputs[i]!.name!));
    });
  });
});

describe("reverse-mode rules agree with finite differences", () => {
  test.each(differentiable)("$name", ({ build }) => {
    fc.assert(
      fc.property(...drawing, (drawn, named, seed) => {
        const { value, sizes, feeds, gradients, random } = draw(build, drawn, named, seed);
        const results = evaluate([...gradients.values()], feeds, sizes);
        expect(gradients.size).toBeGreaterThan(0);
        [...gradients.keys()].forEach((name, i) => {
          const loss = (x: Tensor64) => dot(evaluate([value], new Map(feeds).set(name, x))[0]!, feeds.get("dy")!);
          expectGradient(loss, feeds.get(name)!, results[i]!, random, name);
        });
      }),
      RUNS,
    );
  });
});

/** |found − expected| ≤ 1e-5·|expected| + 1e-6 for each number: sums of numbers near 1 may cancel. */
function expectClose(found: Tensor64, expected: Tensor64, label: string): void {
  expect(found.shape, label).toEqual(expected.shape);
  const bad = expected.data.findIndex((x, i) => !(Math.abs(found.data[i]! - x) <= 1e-5 * Math.abs(x) + 1e-6));
  if (bad >= 0) expect.fail(`${label}: ${found.data[bad]} instead of ${expected.data[bad]}`);
}

describe("ONNX Runtime agrees with the definitions", () => {
  // Each operator is compared on the very numbers that ONNX Runtime gave it, so that no error is inherited.
  test.each(cases)("$name, and every operator of its gradient", async ({ build }) => {
    await fc.assert(
      fc.asyncProperty(...drawing, async (drawn, named, seed) => {
        const { value, sizes, feeds, gradients } = draw(build, drawn, named, seed);
        const computed = topological([value, ...gradients.values()]).filter(({ operator }) => operator);
        const outputs = new Map(computed.map((each, i) => [`${each.operator!.name}.${i}`, each]));
        const found = await run(outputs, feeds, sizes);
        const given = new Map([...outputs].map(([name, each]) => [each, found.get(name)!]));
        for (const [name, each] of outputs) {
          const inputs = new Map(
            each.inputs.flatMap((below) => (given.has(below) ? [[below, given.get(below)!]] : [])),
          );
          const [expected] = evaluate([each], feeds, sizes, inputs);
          expectClose(found.get(name)!, expected!, name);
        }
      }),
      RUNS,
    );
  });
});
