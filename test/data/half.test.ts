import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHalves, toHalves, toUpperHalves } from "../../src/data/half.ts";

test("every half comes back as itself, signs, infinities and the smallest included", () => {
  const all = Uint16Array.from({ length: 1 << 16 }, (_, i) => i).filter((half) => (half & 0x7fff) <= 0x7c00);
  expect(toHalves(fromHalves(all))).toEqual(all);
  expect([...fromHalves(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00))]).toEqual([
    1,
    -2,
    2 ** -24,
    65504,
    Number.POSITIVE_INFINITY,
  ]);
  expect(fromHalves(Uint16Array.of(0x7e00))[0]).toBeNaN();
});

test("a number goes to the nearest half, ties to the even one, too large to infinity", () => {
  const halved = (x: number) => fromHalves(toHalves(Float32Array.of(x)))[0]!;
  expect([1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -11 + 2 ** -20].map(halved)).toEqual([1, 1 + 2 ** -9, 1 + 2 ** -10]);
  expect([65519.9, 65520, -1e9].map(halved)).toEqual([65504, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  fc.assert(
    fc.property(fc.float({ min: -65000, max: 65000, noNaN: true }), (x) => {
      const error = Math.abs(halved(x) - x);
      expect(error).toBeLessThanOrEqual(Math.max(2 ** -25, Math.abs(x) * 2 ** -11));
    }),
  );
});

test("a number goes to the nearest bfloat16, ties to the even one; infinities and NaN stay", () => {
  const rounded = (x: number) =>
    new Float32Array(Uint32Array.of(toUpperHalves(Float32Array.of(x))[0]! << 16).buffer)[0]!;
  expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -(1 + 3 * 2 ** -8)].map(rounded)).toEqual([
    1,
    1 + 2 ** -6,
    1 + 2 ** -7,
    -(1 + 2 ** -6),
  ]);
  expect([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38].map(rounded)).toEqual([
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.POSITIVE_INFINITY,
  ]);
  expect(rounded(Number.NaN)).toBeNaN();
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: Math.fround(-1e30), max: Math.fround(1e30) }), (x) => {
      expect(Math.abs(rounded(x) - x)).toBeLessThanOrEqual(Math.max(2 ** -134, Math.abs(x) * 2 ** -8));
    }),
  );
});
