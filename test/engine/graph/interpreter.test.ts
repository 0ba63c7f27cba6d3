import { describe, expect, test } from "vitest";
import * as operators from "../../../src/engine/graph/operators.ts";
import { type Dim, input } from "../../../src/engine/graph/value.ts";
import { evaluate } from "./interpreter.ts";
import { type Tensor64, tabulate } from "./tensor64.ts";

const tensor = (shape: number[], ...numbers: number[]): Tensor64 => ({ data: Float64Array.from(numbers), shape });
const x = (...shape: Dim[]) => input("x", shape);

/** The numbers worked out by hand, so that the definitions stand on something other than themselves. */
describe("the interpreter, worked out by hand", () => {
  const only = (value: Parameters<typeof evaluate>[0][number], feed: Tensor64) => {
    const [result] = evaluate([value], new Map([["x", feed]]));
    return [...result!.data];
  };
  const close = (found: number[], expected: number[]) => {
    expect(found.length).toBe(expected.length);
    for (const [i, number] of found.entries()) expect(number).toBeCloseTo(expected[i]!, 12);
  };

  test("gemm: 2·AᵀB + C", () => {
    const a = tensor([2, 2], 1, 2, 3, 4);
    const b = tensor([2, 2], 5, 6, 7, 8);
    const c = tensor([2, 2], 100, 200, 300, 400);
    const [ab] = [
      operators.gemm(input("a", [2, 2]), input("b", [2, 2]), { transA: true, alpha: 2, c: input("c", [2, 2]) }),
    ];
    const [result] = evaluate([ab], new Map(Object.entries({ a, b, c })));
    expect([...result!.data]).toEqual([152, 260, 376, 488]);
  });

  test("softmax and its logarithm, far from 0 too", () => {
    close(only(operators.softmax(x(1, 2)), tensor([1, 2], 1000, 1000 + Math.log(3))), [0.25, 0.75]);
    close(only(operators.logSoftmax(x(2)), tensor([2], -1000, -1000 + Math.log(3))), [Math.log(0.25), Math.log(0.75)]);
  });

  test("silu and sigmoid", () => {
    close(only(operators.silu(x(2)), tensor([2], 0, Math.log(3))), [0, 0.75 * Math.log(3)]);
    close(only(operators.sigmoid(x(2)), tensor([2], 0, -Math.log(3))), [0.5, 0.25]);
  });

  test("rmsNorm: (3, 4, 0, 0) has the root mean square 5/2", () => {
    const gain = tensor([4], 1, 10, 1, 1);
    const value = operators.rmsNorm(x(1, 4), input("gain", [4]), 0);
    const [result] = evaluate(
      [value],
      new Map([
        ["x", tensor([1, 4], 3, 4, 0, 0)],
        ["gain", gain],
      ]),
    );
    close([...result!.data], [1.2, 16, 0, 0]);
  });

  test("rope: two heads at a quarter turn; halves are paired, not neighbours", () => {
    const feeds = new Map([
      ["x", tensor([1, 1, 8], 1, 2, 3, 4, 5, 6, 7, 8)],
      ["positions", tensor([1, 1], 1)],
      ["cos", tensor([2, 2], 1, 1, 0, 1)],
      ["sin", tensor([2, 2], 0, 0, 1, 0)],
    ]);
    const turned = (inverse: boolean) =>
      operators.rope(
        x(1, 1, 8),
        input("positions", [1, 1], "int64"),
        input("cos", [2, 2]),
        input("sin", [2, 2]),
        inverse,
      );
    expect([...evaluate([turned(false)], feeds)[0]!.data]).toEqual([-3, 2, 1, 4, -7, 6, 5, 8]);
    expect([...evaluate([turned(true)], feeds)[0]!.data]).toEqual([3, 2, -1, 4, 7, 6, -5, 8]);
  });

  test("transpose, concat and reduceSum", () => {
    const counted = tabulate([2, 3], ([i, j]) => 10 * i! + j!);
    expect(only(operators.transpose(x(2, 3), [1, 0]), counted)).toEqual([0, 10, 1, 11, 2, 12]);
    expect(only(operators.concat([x(2, 3), x(2, 3)], 1, 6), counted)).toEqual([
      0, 1, 2, 0, 1, 2, 10, 11, 12, 10, 11, 12,
    ]);
    expect(only(operators.reduceSum(x(2, 3), [0]), counted)).toEqual([10, 12, 14]);
    expect(only(operators.reduceSum(x(2, 3), [1]), counted)).toEqual([3, 33]);
  });

  test("a reshape finds one size by counting, and refuses to guess two", () => {
    const counted = tabulate([2, 6], ([i, j]) => 6 * i! + j!);
    const [result] = evaluate([operators.reshape(x(2, 6), ["m", 3])], new Map([["x", counted]]));
    expect(result!.shape).toEqual([4, 3]);
    expect(() => only(operators.reshape(x(2, 6), ["m", "n"]), counted)).toThrow("two unknown sizes");
  });

  test("broadcasts a column over a row", () => {
    const value = operators.sub(x(2, 1), input("y", [3]));
    const [result] = evaluate(
      [value],
      new Map([
        ["x", tensor([2, 1], 10, 20)],
        ["y", tensor([3], 1, 2, 3)],
      ]),
    );
    expect([...result!.data]).toEqual([9, 8, 7, 19, 18, 17]);
  });

  test("refuses a named dimension with two sizes", () => {
    const value = operators.add(input("a", ["m"]), input("b", ["m"]));
    const feeds = new Map([
      ["a", tensor([2], 1, 2)],
      ["b", tensor([1], 1)],
    ]);
    expect(() => evaluate([value], feeds)).toThrow("b is promised as [m] and has the shape [1]");
  });
});
