import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { fieldReference, givenReference, type ReferenceOptions, resolveReference } from "../../src/reference/index.ts";
import { logprobs } from "../divergence/oracle.ts";
import { datumOf } from "../regularizer/datums.ts";
import { rowsOf } from "./asking.ts";

const A = logprobs([[0.5, 0.5]]);

describe("exactly one reference", () => {
  const given: Required<Omit<ReferenceOptions, "format">> = {
    referenceLogprobs: [A],
    referenceField: "base",
    computeReference: () => [A],
    reference: givenReference([A]),
  };

  test("none: the error lists all options", () => {
    for (const options of [{}, { referenceLogprobs: undefined }]) {
      expect(() => resolveReference(options)).toThrow(UserError);
      for (const name of Object.keys(given)) expect(() => resolveReference(options)).toThrow(`${name} (`);
    }
  });

  test("more than one: the error names those", () => {
    expect(() => resolveReference({ referenceLogprobs: [A], computeReference: () => [A] })).toThrow(
      "referenceLogprobs and computeReference are set, expected one reference: remove the others",
    );
    expect(() => resolveReference(given)).toThrow(UserError);
  });

  test.each(Object.keys(given) as (keyof typeof given)[])("%s alone is taken", async (name) => {
    const datum = datumOf([1], { fields: { base: A } });
    expect(await rowsOf(resolveReference({ [name]: given[name] }), [datum])).toEqual([A]);
  });
});

test("a format goes with log-probabilities from outside, not with a reference", async () => {
  const halves = { data: A.data.map((x) => x / 2), shape: A.shape };
  const format = { temperature: 2 };
  const datum = datumOf([1], { fields: { base: halves } });
  for (const options of [
    { referenceLogprobs: [halves] },
    { referenceField: "base" },
    { computeReference: () => [halves] },
  ]) {
    const [rows] = await rowsOf(resolveReference({ ...options, format }), [datum]);
    expect("data" in rows! && rows.data[0]).toBeCloseTo(Math.log(0.5), 6);
  }
  expect(() => resolveReference({ reference: fieldReference("x"), format })).toThrow(
    "`format` is set beside `reference`, which has a format of its own",
  );
});
