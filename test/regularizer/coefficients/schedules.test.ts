import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/common/errors.ts";
import {
  type Coefficient,
  cosineWeight,
  linearWeight,
  piecewiseWeight,
  warmupWeight,
} from "../../../src/regularizer/index.ts";

const at = (weight: Coefficient<null>, steps: number[]) => steps.map((step) => weight.at(weight.init(), step));

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((x, i) => {
    expect(x).toBeCloseTo(expected[i]!, 12);
  });
}

test("linear: from in step 1, to in step `steps` and after it, a line between", () => {
  expectClose(
    at(linearWeight({ from: 0.1, to: 0.5, steps: 5 }), [1, 2, 3, 4, 5, 6, 99]),
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5],
  );
  expectClose(at(linearWeight({ to: 1, steps: 3 }), [1, 2, 3]), [0, 0.5, 1]);
  expectClose(at(linearWeight({ from: 1, to: 0, steps: 3 }), [1, 2, 3, 4]), [1, 0.5, 0, 0]);
});

test("cosine: the same ends and middle, flat at both ends", () => {
  const weight = cosineWeight({ from: 1, to: 0.2, steps: 101 });
  expectClose(at(weight, [1, 51, 101, 500]), [1, 0.6, 0.2, 0.2]);
  expectClose(at(weight, [26]), [0.2 + 0.8 * ((1 + Math.cos(Math.PI / 4)) / 2)]);
  expect(1 - weight.at(null, 2)).toBeLessThan(0.001);
});

test("warm-up: rises as a learning rate does, and is never 0", () => {
  expectClose(at(warmupWeight({ to: 0.5, steps: 5 }), [1, 2, 5, 6]), [0.1, 0.2, 0.5, 0.5]);
  expect(warmupWeight({ to: 0.5, steps: 1 }).at(null, 1)).toBe(0.5);
});

test("piecewise: lines between points, constant outside, neighbouring steps make a jump", () => {
  const weight = piecewiseWeight([
    [10, 0.2],
    [20, 0.4],
    [21, 1],
    [31, 0],
  ]);
  expectClose(at(weight, [1, 10, 15, 20, 21, 26, 31, 99]), [0.2, 0.2, 0.3, 0.4, 1, 0.5, 0, 0]);
  expectClose(at(piecewiseWeight([[1, 0.3]]), [1, 9]), [0.3, 0.3]);
});

describe("invalid settings are refused", () => {
  test.each<[() => Coefficient<null>, string]>([
    [() => linearWeight({ to: -1, steps: 5 }), "to is -1, expected a finite number of at least 0"],
    [() => linearWeight({ from: Number.NaN, to: 1, steps: 5 }), "from is NaN, expected a finite number of at least 0"],
    [() => cosineWeight({ to: 1, steps: 1 }), "steps is 1, expected a whole number of at least 2"],
    [() => warmupWeight({ to: 1, steps: 1.5 }), "steps is 1.5, expected a whole number of at least 1"],
    [() => piecewiseWeight([]), "points is [], expected at least one [step, weight]"],
    [
      () =>
        piecewiseWeight([
          [5, 1],
          [5, 2],
        ]),
      "the step of point 2 is 5, expected more than 5",
    ],
    [() => piecewiseWeight([[0, 1]]), "the step of point 1 is 0, expected more than 0"],
  ])("%#", (make, message) => {
    expect(make).toThrow(UserError);
    expect(make).toThrow(message);
  });
});
