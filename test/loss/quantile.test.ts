import fc from "fast-check";
import { expect, test } from "vitest";
import { quantiles, type WeightedValue } from "../../src/loss/quantile.ts";

const of = (values: number[], weight = 1) => values.map((value) => ({ value, weight }));

test("with equal weights the nearest rank", () => {
  const hundred = of(Array.from({ length: 100 }, (_, i) => i + 1).reverse());
  expect(quantiles(hundred, [0, 0.01, 0.5, 0.95, 0.99, 1])).toEqual([1, 1, 50, 95, 99, 100]);
  expect(quantiles(of([3]), [0.5, 0.99])).toEqual([3, 3]);
  expect(quantiles([], [0.5])).toEqual([]);
});

test("a weight counts as that many of the value; what has none is not there", () => {
  const weighted = [{ value: 1, weight: 3 }, ...of([2, 3]), { value: -9, weight: 0 }];
  expect(quantiles(weighted, [0, 0.5, 0.6, 0.61, 0.8, 0.81])).toEqual([1, 1, 1, 2, 2, 3]);
});

test("is the definition: the least value that holds its share, in any order", () => {
  const value = fc.record({ value: fc.integer({ min: -5, max: 5 }), weight: fc.integer({ min: 0, max: 4 }) });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 100 }),
      (values, percent) => {
        const upTo = (x: number) => values.reduce((sum, each) => sum + (each.value <= x ? each.weight : 0), 0);
        const total = upTo(Number.POSITIVE_INFINITY);
        const share = percent / 100;
        const [found] = quantiles(values, [share]);
        if (total === 0) {
          expect(found).toBeUndefined();
          return;
        }
        const enough = values.filter(
          (each: WeightedValue) => each.weight > 0 && 100 * upTo(each.value) >= percent * total,
        );
        expect(found).toBe(Math.min(...enough.map((each) => each.value)));
        expect(quantiles([...values].reverse(), [share])).toEqual([found]);
      },
    ),
  );
});
