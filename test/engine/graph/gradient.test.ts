import { describe, expect, test } from "vitest";
import { gradients, residuals } from "../../../src/engine/graph/gradient.ts";
import { add, gemm, logSoftmax, mul, scale, silu, softmax } from "../../../src/engine/graph/operators.ts";
import { input, topological } from "../../../src/engine/graph/value.ts";
import { evaluate } from "./interpreter.ts";
import type { Tensor64 } from "./tensor64.ts";

const row = (...numbers: number[]): Tensor64 => ({ data: Float64Array.from(numbers), shape: [numbers.length] });
const x = input("x", [2]);
const y = input("y", [2]);
const dy = input("dy", [2]);

describe("gradients", () => {
  test("add up over all uses of a value", () => {
    const square = mul(x, x);
    const [dx] = gradients(add(mul(square, x), scale(square, 5)), dy, [x]); // x³ + 5x²
    const feeds = new Map([
      ["x", row(2, -3)],
      ["dy", row(1, 10)],
    ]);
    expect([...evaluate([dx!], feeds)[0]!.data]).toEqual([3 * 4 + 10 * 2, 10 * (3 * 9 - 10 * 3)]);
  });

  test("of the output itself is the seed", () => {
    expect(gradients(x, dy, [x])).toEqual([dy]);
  });

  test("may be asked for values in the middle of the graph, and then go no lower", () => {
    const middle = mul(x, y);
    const [dm] = gradients(scale(middle, 3), dy, [middle]);
    expect(topological([dm!]).map(({ name }) => name)).not.toContain("x");
  });

  test("with respect to a value and to what it is made of", () => {
    const middle = mul(x, y);
    const [dm, dx] = gradients(scale(middle, 3), dy, [middle, x]);
    const feeds = new Map([
      ["x", row(2, 4)],
      ["y", row(5, 7)],
      ["dy", row(1, 10)],
    ]);
    expect(evaluate([dm!, dx!], feeds).map(({ data }) => [...data])).toEqual([
      [3, 30],
      [15, 210],
    ]);
  });

  test("pass by operators without a rule when no parameter lies below them", () => {
    const [dx] = gradients(mul(x, logSoftmax(y)), dy, [x]);
    expect(dx!.operator!.name).toBe("mul");
  });

  test("through an operator without a rule are refused, by its name", () => {
    expect(() => gradients(mul(x, logSoftmax(y)), dy, [y])).toThrow("operator logSoftmax has no gradient rule");
  });

  test("with respect to a value that the output does not depend on are refused, by its name", () => {
    expect(() => gradients(scale(x, 2), dy, [x, y])).toThrow("the output does not depend on y");
  });
});

describe("residuals", () => {
  const w = input("w", [2, 2]);
  const rows = input("rows", ["m", 2]);
  const dz = input("dz", ["m", 2]);

  test("are the results of costly operators; the cheap values between are left out", () => {
    const product = gemm(rows, w);
    const z = softmax(silu(product));
    expect(residuals([z], gradients(z, dz, [w]))).toEqual([product, z]);
  });

  test("leave out a costly value that only residuals are computed from", () => {
    const product = gemm(rows, w);
    const z = softmax(product);
    expect(residuals([z], gradients(z, dz, [w]))).toEqual([z]);
  });

  test("leave out what the forward graph does not compute", () => {
    const z = softmax(gemm(rows, w));
    expect(residuals([rows], gradients(z, dz, [w]))).toEqual([]);
  });
});
