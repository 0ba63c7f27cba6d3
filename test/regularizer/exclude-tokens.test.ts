import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import type { Datum } from "../../src/data/datum.ts";
import { weightOf } from "../../src/loss/items.ts";
import { computedReference } from "../../src/reference/computed.ts";
import { compose, compute, excludeTokens, KLDivergence, type Regularizer } from "../../src/regularizer/index.ts";
import { datumByDatum, inParts } from "../loss/in-parts.ts";
import { datumOf } from "./datums.ts";
import { MODEL, REFERENCE } from "./two-datums.ts";

const DATA = [datumOf([1, 0.5], { targets: [2, 1] }), datumOf([2], { targets: [0] })];
const kl = new KLDivergence({ referenceLogprobs: new Map(DATA.map((datum, i) => [datum, REFERENCE[i]!])) });

test("rows with an excluded target count no more than rows of weight 0", async () => {
  const { positions: _, ...found } = await compute(excludeTokens(kl, [1, 7]), DATA, MODEL);
  const masked = [datumOf([1, 0], { targets: [2, 1] }), DATA[1]!];
  const { positions: __, ...expected } = await compute(
    new KLDivergence({ referenceLogprobs: REFERENCE }),
    masked,
    MODEL,
  );
  expect(found).toEqual(expected);
  expect([...found.gradient[0]!.data.subarray(3)]).toEqual([0, 0, 0]);
});

test("what is known of a datum is known of it without them: one look at the reference serves all", async () => {
  let asked: readonly Datum[][] = [];
  const reference = computedReference((data) => {
    asked = [...asked, [...data]];
    return REFERENCE;
  });
  const composed = compose([
    { regularizer: new KLDivergence({ name: "all", reference }), weight: 1 },
    { regularizer: excludeTokens(new KLDivergence({ name: "some", reference }), [1]), weight: 1 },
    { regularizer: excludeTokens(new KLDivergence({ name: "others", reference }), [0, 2]), weight: 1 },
  ]);
  await inParts(composed, DATA, MODEL, datumByDatum(DATA));
  expect(asked).toEqual([DATA]);
});

test("a mean divides by what counts of the whole batch, and parts add up", async () => {
  const some = excludeTokens(kl, [1]);
  const whole = await compute(some, DATA, MODEL);
  const parts = await inParts(some, DATA, MODEL, datumByDatum(DATA));
  expect(parts.loss).toBeCloseTo(whole.loss, 12);
  expect(parts.gradient).toEqual(whole.gradient);
});

test("all excluded: nothing is asked of the model", async () => {
  const { loss, gradient, metrics } = await compute(excludeTokens(kl, [0, 1, 2]), DATA, MODEL);
  expect({ loss, metrics }).toEqual({ loss: 0, metrics: { kl_divergence: 0 } });
  expect(gradient.every(({ data }) => data.every((slope) => slope === 0))).toBe(true);
});

test("works for any regularizer, and passes on its name, weight, support and state", async () => {
  const state = { read: () => ({ values: 7, tensors: new Map() }), write: () => undefined };
  const weights: Regularizer = {
    name: "weights",
    weight: 0.3,
    support: "either",
    state,
    begin: (batch) => ({
      add: () => undefined,
      end: () => ({ value: weightOf(batch), metrics: { first: batch[0]!.weights[0]! } }),
    }),
  };
  const some = excludeTokens(weights, [2]);
  expect(some).toMatchObject({ name: "weights", weight: 0.3, support: "either" });
  expect(some.state!.read().values).toBe(7);
  expect(await compute(some, DATA, MODEL)).toMatchObject({ loss: 2.5, metrics: { first: 0 } });
  expect(DATA[0]!.lossInputs.weights.data[0]).toBe(1);
});

describe("tokens", () => {
  test("none: the regularizer itself", () => expect(excludeTokens(kl, [])).toBe(kl));

  test.each([-1, 0.5, Number.NaN])("%d is no token id", (token) => {
    expect(() => excludeTokens(kl, [token])).toThrow(UserError);
    expect(() => excludeTokens(kl, [token])).toThrow(`excludeTokens has ${token} among its tokens`);
  });
});
