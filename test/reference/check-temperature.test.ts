import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { logSoftmax } from "../../src/divergence/log-softmax.ts";
import { selectTopK } from "../../src/divergence/supports/top-k.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import { checkTemperature, givenReference, type ReferenceRows, syncedReference } from "../../src/reference/index.ts";
import { datumOf } from "../regularizer/datums.ts";
import { newStep, rowsOf } from "./asking.ts";

const LOGITS = tensor(
  Array.from({ length: 30 }, (_, i) => 4 * Math.sin(i * i)),
  [3, 10],
);
const BASE = logSoftmax(LOGITS);
const at = (temperature: number) => logSoftmax(LOGITS, { temperature });
const DATA = [datumOf([1, 0, 1], { source: "train.jsonl:1" }), datumOf([1], { source: "train.jsonl:2" })];
const OTHER = logSoftmax(
  tensor(
    Array.from({ length: 10 }, (_, i) => i % 3),
    [1, 10],
  ),
);

function checked(rows: ReferenceRows, base: Tensor = BASE) {
  let passes = 0;
  const distributions = async () => {
    passes++;
    return [base];
  };
  const reference = checkTemperature(givenReference([rows, OTHER], { description: "teacher" }), { distributions });
  return { reference, passes: () => passes };
}

describe("the base's own distribution", () => {
  test.each([0.5, 0.95, 0.97, 1.03, 1.05, 1.15, 1.5])(
    "at temperature %d is refused, with that temperature",
    async (T) => {
      const whole = rowsOf(checked(at(T)).reference, DATA);
      await expect(whole).rejects.toThrow(UserError);
      await expect(whole).rejects.toThrow(
        `the reference (teacher), datum 0 (train.jsonl:1): it is the base's own distribution at temperature ${T}: ask for log-probabilities at temperature 1, or set temperature: ${T}`,
      );
      await expect(rowsOf(checked(selectTopK(at(T), 5)).reference, DATA)).rejects.toThrow(/at temperature 1$/);
    },
  );

  test.each([0.99, 1, 1.01])("at temperature %d, which rounding could make of 1, is taken", async (T) => {
    expect(await rowsOf(checked(at(T)).reference, DATA)).toEqual([at(T), OTHER]);
    await rowsOf(checked(selectTopK(at(T), 5)).reference, DATA);
  });
});

test("another model is taken, however peaked", async () => {
  const other = logSoftmax(
    tensor(
      Array.from({ length: 30 }, (_, i) => 8 * Math.cos(i * i * i)),
      [3, 10],
    ),
  );
  expect(await rowsOf(checked(other).reference, DATA)).toEqual([other, OTHER]);
});

test("positions of weight 0 say nothing", async () => {
  const data = BASE.data.slice();
  data.set(OTHER.data, 10);
  await rowsOf(checked(tensor(data, [3, 10])).reference, DATA);
  const tempered = at(1.5).data.slice();
  tempered.set(OTHER.data, 10);
  await expect(rowsOf(checked(tensor(tempered, [3, 10])).reference, DATA)).rejects.toThrow("at temperature 1.5");
});

test("the base is read once, at the first datum of the first step that has any", async () => {
  const { reference, passes } = checked(BASE);
  const map = new Map(DATA.map((datum, i) => [datum, [BASE, OTHER][i]!]));
  const stepwise = checkTemperature(givenReference(map), { distributions: async () => [BASE] });
  await stepwise.begin([], newStep());
  for (let i = 0; i < 3; i++) await rowsOf(reference, DATA);
  await Promise.all([reference.begin(DATA, newStep()), reference.begin(DATA, newStep())]);
  expect(passes()).toBe(1);
});

test("a failure is not remembered", async () => {
  let calls = 0;
  const distributions = async () => {
    if (++calls === 1) throw new Error("out of memory");
    return [BASE];
  };
  const reference = checkTemperature(givenReference([at(1.5), OTHER]), { distributions });
  await expect(rowsOf(reference, DATA)).rejects.toThrow("out of memory");
  for (let i = 0; i < 2; i++) await expect(rowsOf(reference, DATA)).rejects.toThrow("at temperature 1.5");
});

test("it keeps the reference's name and state, and needs a base that tells its distributions", () => {
  const model = { tensors: new Map(), sample: async () => [], computeLogprobs: async () => [] };
  const distributions = async () => [BASE];
  const snapshot = { ...model, distributions };
  const synced = syncedReference({ take: () => snapshot, restore: () => snapshot }, { every: 2 });
  const reference = checkTemperature(synced, { distributions });
  expect(reference).toMatchObject({ description: synced.description, state: synced.state });
  expect(() => checkTemperature(synced, {})).toThrow(UserError);
});
