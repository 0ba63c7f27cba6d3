import { describe, expect, test } from "vitest";
import { mmd } from "../../examples/own/mmd.ts";
import { squaredError } from "../../examples/own/squared-error.ts";
import { wasserstein } from "../../examples/own/wasserstein.ts";
import { type GivenLogprobs, givenReference } from "../../src/reference/index.ts";
import { compute, type Regularizer } from "../../src/regularizer/index.ts";
import * as oracle from "../divergence/oracle.ts";
import { inParts, shuffledParts } from "../loss/in-parts.ts";
import { datumOf } from "./datums.ts";
import { DATA, type Definition, descend, expectDefined, MODEL, REFERENCE } from "./rows.ts";

/** @file The regularizers of examples/own are what they say: value and gradient, by definition and finite differences. */

/** Neither in order nor all different. */
const AT = [3, -1, 0.5, 3];
const KERNEL = AT.map((x, v) => Float64Array.from(AT, (y, w) => Math.exp(-((x - y) ** 2) / 2) + (v === w ? 0.3 : 0)));

/** ∫ |P(x) − Q(x)| dx, by the tokens at or below each threshold. */
const distance: Definition = (p, q) => {
  const thresholds = [...new Set(AT)].sort((a, b) => a - b);
  const below = (row: number[], x: number) => row.reduce((sum, share, v) => (AT[v]! <= x ? sum + share : sum), 0);
  return thresholds
    .slice(1)
    .reduce(
      (sum, next, i) => sum + Math.abs(below(p, thresholds[i]!) - below(q, thresholds[i]!)) * (next - thresholds[i]!),
      0,
    );
};
const discrepancy: Definition = (p, q) =>
  p.reduce((sum, x, v) => sum + p.reduce((sum, y, w) => sum + (x - q[v]!) * KERNEL[v]![w]! * (y - q[w]!), 0), 0);
const error: Definition = (p, q) => p.reduce((sum, x, v) => sum + 0.5 * x * Math.log(x / q[v]!) ** 2, 0);

const OWN: readonly (readonly [string, (held: GivenLogprobs) => Regularizer, Definition])[] = [
  ["squared_error", (held) => squaredError(givenReference(held)), error],
  ["wasserstein", (held) => wasserstein(givenReference(held), AT), distance],
  ["mmd", (held) => mmd(givenReference(held), KERNEL), discrepancy],
];

describe.each(OWN)("%s", (name, make, definition) => {
  const own = make(REFERENCE);

  test("is its definition, and its gradient that with respect to the logits", async () => {
    expect(own.name).toBe(name);
    await expectDefined(own, definition, { metric: name });
  });

  test("is 0 at the reference, and descending leads to it", async () => {
    expect((await compute(own, DATA, REFERENCE)).loss).toBeCloseTo(0, 12);
    expect((await descend(own, 400, 0.3)).loss).toBeLessThan(0.25 * (await compute(own, DATA, MODEL)).loss);
  });

  test("is the same of a batch in parts", async () => {
    const whole = await compute(own, DATA, MODEL);
    const found = await inParts(own, DATA, MODEL, shuffledParts(DATA, 1));
    expect(found.loss).toBeCloseTo(whole.loss, 6);
    for (const [d, { data }] of whole.gradient.entries())
      for (const [i, slope] of data.entries()) expect(found.gradient[d]!.data[i]).toBeCloseTo(slope, 6);
  });
});

test("Wasserstein between two tokens is the distance between their coordinates", async () => {
  const token = (v: number) => oracle.logprobs([AT.map((_, w) => (w === v ? 1 : 0))]);
  for (const [v, x] of AT.entries()) {
    for (const [w, y] of AT.entries()) {
      const own = wasserstein(givenReference(token(w)), AT);
      expect((await compute(own, [datumOf([1])], [token(v)])).loss).toBeCloseTo(Math.abs(x - y), 12);
    }
  }
});
