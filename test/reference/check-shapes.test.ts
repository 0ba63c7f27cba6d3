import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { selectTopK, topK } from "../../src/divergence/supports/top-k.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import type { Item, Span } from "../../src/loss/contract.ts";
import { checkShapes } from "../../src/reference/check-shapes.ts";
import { givenReference, type ReferenceRows } from "../../src/reference/index.ts";
import { datumOf } from "../regularizer/datums.ts";
import { newStep, wholeSpans } from "./asking.ts";

/** Uniform distributions [rows, size]. */
const uniform = (rows: number, size = 4): Tensor =>
  tensor(new Float32Array(rows * size).fill(-Math.log(size)), [rows, size]);
const DATA = [2, 6].map((count, d) => datumOf(new Array(count).fill(1), { source: `train.jsonl:${d + 1}` }));
const BATCH: readonly Item[] = DATA.map((datum) => ({ datum, weights: datum.lossInputs.weights.data }));

/** The whole batch as one part; or the second datum cut in parts, of which the first alone is looked at. */
const WHOLE = wholeSpans(DATA);
const CUT: readonly Span[] = [{ index: 1, from: 0, to: 4 }];

/** The error for rows that are given for the second datum, as a regularizer meets it. */
async function refused(given: ReferenceRows, spans: readonly Span[], size = 4): Promise<string> {
  const open = await givenReference([uniform(2), given], { description: "teacher" }).begin(DATA, newStep());
  const rows = await open.rows(spans);
  const part = { spans, logprobs: spans.map(({ from, to }) => uniform(to - from, size)) };
  try {
    checkShapes("KL divergence", BATCH, part, rows, "teacher");
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
  return "not refused";
}

describe.each([
  ["whole", WHOLE],
  ["cut", CUT],
])("a datum that comes %s", (_, spans) => {
  test("of the right shape is taken", async () => {
    expect(await refused(uniform(6), spans)).toBe("not refused");
    expect(await refused(selectTopK(uniform(6), 2), spans)).toBe("not refused");
  });

  test.each([
    ["a row too many", uniform(7), "[7, 4]; the reference needs one row per target token of the datum"],
    ["too few rows", uniform(5), "[5, 4]; the reference needs one row per target token of the datum"],
    ["a top-k too few", selectTopK(uniform(5), 3), "[5, 3] of the top-k; the reference needs one row per target token"],
    [
      "target tokens alone",
      tensor(new Float32Array(6).fill(-1), [6]),
      "[6]; each must be [M, V], the whole vocabulary at every position: log-probabilities of the target tokens alone are not a distribution; if there are no others, set format: { targets: true }",
    ],
    ["target tokens in a column", tensor(new Float32Array(6), [6, 1]), "[6, 1]; each must be [M, V], the whole"],
    [
      "numbers that are missing",
      { data: new Float32Array(23), shape: [6, 4] },
      "[6, 4]; the reference hold 23 numbers, expected 24",
    ],
    [
      "numbers too many",
      { data: new Float32Array(25), shape: [6, 4] },
      "[6, 4]; the reference hold 25 numbers, expected 24",
    ],
  ])("%s: refused with both shapes and the datum's name", async (_, given, message) => {
    expect(await refused(given, spans)).toContain(
      `shape mismatch in KL divergence, datum 1 (train.jsonl:2): model log-probabilities [6, 4], reference (teacher) ${message}`,
    );
  });

  test("another vocabulary is refused likewise", async () => {
    expect(await refused(uniform(6), spans, 5)).toBe(
      spans === WHOLE
        ? "shape mismatch in KL divergence, datum 0 (train.jsonl:1): model log-probabilities [2, 5], reference (teacher) [2, 4]; both must be over the same vocabulary"
        : "shape mismatch in KL divergence, datum 1 (train.jsonl:2): model log-probabilities [6, 5], reference (teacher) [6, 4]; both must be over the same vocabulary",
    );
  });
});

describe("parts that do not fit the batch", () => {
  const check = (batch: readonly Item[], logprobs: readonly Tensor[], rows: readonly ReferenceRows[]) => () =>
    checkShapes("KL divergence", batch, { spans: WHOLE, logprobs }, rows, "teacher");
  const right = [uniform(2), uniform(6)];

  test("in the number of tensors", () => {
    expect(check(BATCH, [uniform(2)], right)).toThrow(
      "KL divergence was given log-probabilities of 1 datums for 2: give one tensor [M, V] per datum",
    );
    expect(check(BATCH, right, [uniform(2)])).toThrow("the reference (teacher) returned 1 tensors for 2 datums");
  });

  test("in the model's rows, though the reference has as many", () => {
    expect(check(BATCH, [uniform(2), uniform(5)], [uniform(2), uniform(5)])).toThrow(
      "model log-probabilities [5, 4], reference (teacher) [5, 4]; the datum has 6 target tokens, one row for each",
    );
  });

  test("in the model's numbers", () => {
    const short = { data: new Float32Array(20), shape: [6, 4] };
    expect(check(BATCH, [uniform(2), short], right)).toThrow(
      "the model log-probabilities hold 20 numbers, expected 24",
    );
  });

  test("in the weights", () => {
    const [first, second] = BATCH as [Item, Item];
    const batch = [first, { ...second, weights: new Float32Array(5) }];
    expect(check(batch, right, right)).toThrow(
      "datum 1 (train.jsonl:2) has 5 weights for 6 target tokens: give one per token",
    );
  });

  test("a top-k may know fewer tokens than the model has", () => {
    const { tokens, logprobs } = selectTopK(uniform(6), 1);
    expect(check(BATCH, right, [uniform(2), topK(tokens, logprobs)])).not.toThrow();
  });
});
