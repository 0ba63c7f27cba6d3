import { expect, test } from "vitest";
import { type Datum, everyToken, sliceRows } from "../../src/data/datum.ts";
import { worstRows, worstToken } from "../../src/drift/worst-tokens.ts";
import type { MeasuredPart } from "../../src/regularizer/index.ts";

const DATUM = everyToken([1, 2, 3, 4, 5], "train.jsonl:7");

const part = (datum: Datum, values: number[], weights = datum.lossInputs.weights): MeasuredPart => ({
  data: [datum],
  metrics: {},
  rows: {
    "kl_divergence/kl": { values: [{ data: Float32Array.from(values), shape: [values.length] }], weights: [weights] },
  },
});

/** Tokens as themselves. */
const tokenizer = { decode: (tokens: ArrayLike<number>) => Array.from(tokens).join(" ") };

test("are the greatest of all parts; what does not count or does not differ is not among them", () => {
  const [first, last] = [sliceRows(DATUM, 0, 2), sliceRows(DATUM, 2, 4)];
  const weights = { data: Float32Array.of(1, 0), shape: [2] };
  const parts = [part(first, [1, 3]), part(last, [2, 9], weights), { data: [DATUM], metrics: {} }];
  expect(worstRows(parts, 2).map(({ value, row }) => [value, row])).toEqual([
    [3, 1],
    [2, 0],
  ]);
  expect(worstRows([part(first, [0, 0])], 2)).toEqual([]);
  expect(worstRows(parts, 10)).toHaveLength(3);
});

test("say which token it was, after what, and where, also when its datum was cut", () => {
  const [worst] = worstRows([part(sliceRows(DATUM, 2, 4), [1, 4])], 1);
  expect(worstToken(11, worst!, tokenizer)).toEqual({
    step: 11,
    regularizer: "kl_divergence",
    value: 4,
    token: "5",
    id: 5,
    before: "1 2 3 4",
    source: "train.jsonl:7",
    position: 3,
  });
});

test("show the last sixteen tokens of a long text", () => {
  const long = everyToken(Array.from({ length: 40 }, (_, i) => i));
  const [worst] = worstRows([part(long, [...new Array(38).fill(1), 2])], 1);
  const shown = Array.from({ length: 16 }, (_, i) => 23 + i).join(" ");
  expect(worstToken(1, worst!, tokenizer)).toMatchObject({ before: shown, source: null, id: 39, position: 38 });
});
