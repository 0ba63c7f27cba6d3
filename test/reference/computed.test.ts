import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type Datum, rowCount } from "../../src/data/datum.ts";
import { logSoftmax } from "../../src/divergence/log-softmax.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import { type ComputedOptions, computedReference } from "../../src/reference/index.ts";
import { datumOf } from "../regularizer/datums.ts";
import { newStep, positionByPosition, rowsOf, wholeSpans } from "./asking.ts";

const BATCH = [3, 6, 2].map((rows, d) => datumOf(new Array(rows).fill(1), { source: `train.jsonl:${d + 1}` }));
const ROWS = BATCH.map((datum, d) => {
  const count = rowCount(datum);
  return logSoftmax(
    tensor(
      Array.from({ length: count * 4 }, (_, i) => Math.sin(7 * i + d)),
      [count, 4],
    ),
  );
});
const rowsFor = (data: readonly Datum[]) => data.map((datum) => ROWS[BATCH.indexOf(datum)]!);

function counted(options?: ComputedOptions) {
  const asked: (readonly Datum[])[] = [];
  const compute = async (data: readonly Datum[]) => {
    asked.push(data);
    return rowsFor(data);
  };
  return { asked, reference: computedReference<Tensor>(compute, options) };
}

describe("the function", () => {
  test("is called once for the whole batch, whatever parts of it are asked for", async () => {
    const { asked, reference } = counted();
    const open = await reference.begin(BATCH, newStep());
    expect(await open.rows(wholeSpans(BATCH))).toEqual(ROWS);
    const found = await positionByPosition(open, BATCH, ({ data }) => data);
    expect(found).toEqual(ROWS.map(({ data }) => [...data]));
    expect(asked).toEqual([BATCH]);
  });

  test("may be synchronous", async () => {
    expect(await rowsOf(computedReference(rowsFor), BATCH)).toEqual(ROWS);
  });

  test("is called once a step for all who share it, for data that are new to the step only, and again in the next step", async () => {
    const { asked, reference } = counted();
    for (let number = 1; number <= 2; number++) {
      const step = newStep({ number });
      const [one, other] = [BATCH.slice(0, 2), BATCH.slice(1)];
      expect(await Promise.all([rowsOf(reference, one, step), rowsOf(reference, other, step)])).toEqual([
        ROWS.slice(0, 2),
        ROWS.slice(1),
      ]);
      await rowsOf(reference, BATCH, step);
    }
    expect(asked).toEqual([BATCH.slice(0, 2), BATCH.slice(2), BATCH.slice(0, 2), BATCH.slice(2)]);
  });

  test("may reuse its memory from step to step, also where a temperature is converted", async () => {
    const memory = tensor(ROWS[0]!.data.slice(), ROWS[0]!.shape);
    const reference = computedReference<Tensor>(() => [memory], { temperature: 2 });
    const [first] = await rowsOf(reference, [BATCH[0]!]);
    memory.data.fill(Math.log(0.25));
    const [second] = await rowsOf(reference, [BATCH[0]!]);
    expect(second!.data[0]).toBeCloseTo(Math.log(0.25), 6);
    expect(first!.data[0]).not.toBeCloseTo(Math.log(0.25), 2);
  });

  test("must return a list", async () => {
    const compute = (() => ROWS[0]) as unknown as () => Tensor[];
    await expect(rowsOf(computedReference(compute), BATCH)).rejects.toThrow(
      "the reference computeReference failed: expected a list with one tensor per datum",
    );
  });

  test("must return log-probabilities: the datum is named as it stands in the batch", async () => {
    const reference = computedReference((data) =>
      rowsFor(data).map((rows, i) => (data[i] === BATCH[1] ? tensor(rows.data.map(Math.exp), rows.shape) : rows)),
    );
    const step = newStep();
    await reference.begin([BATCH[0]!], step);
    await expect(reference.begin([BATCH[0]!, BATCH[2]!, BATCH[1]!], step)).rejects.toThrow(
      /^the reference \(computeReference\), datum 2 \(train\.jsonl:2\), position 0: the probabilities sum to .* they look like probabilities/,
    );
  });
});

describe("failures", () => {
  test("carry the reference's name and their cause for all who share the step; the next step tries again", async () => {
    const causes = [new Error("connection refused"), new UserError("no such model"), "a string"];
    for (const cause of causes) {
      let calls = 0;
      const reference = computedReference(
        (data) => {
          if (calls++ === 0) throw cause;
          return rowsFor(data);
        },
        { description: "server", retries: 0 },
      );
      const step = newStep();
      const failures = await Promise.allSettled([reference.begin(BATCH, step), reference.begin([...BATCH], step)]);
      for (const failure of failures) {
        expect(failure).toMatchObject({
          reason: { message: `the reference server failed: ${cause instanceof Error ? cause.message : cause}`, cause },
        });
      }
      expect((failures[0] as PromiseRejectedResult).reason instanceof UserError).toBe(cause instanceof UserError);
      expect(calls).toBe(1);
      expect(await rowsOf(reference, BATCH)).toEqual(ROWS);
    }
  });

  test("are repeated four times unless set, and time limits hold for each try", async () => {
    let tries = 0;
    const sleep = async () => undefined;
    const failing = (times: number) => (data: readonly Datum[]) => {
      if (++tries <= times) throw new Error("busy");
      return rowsFor(data);
    };
    expect(await rowsOf(computedReference(failing(4), { sleep }), BATCH)).toEqual(ROWS);
    expect(tries).toBe(5);
    tries = 0;
    await expect(rowsOf(computedReference(failing(5), { sleep }), BATCH)).rejects.toThrow("busy");
    expect(tries).toBe(5);
    const endless = computedReference(() => new Promise<Tensor[]>(() => undefined), { timeout: 5, retries: 1, sleep });
    await expect(rowsOf(endless, BATCH)).rejects.toThrow(
      "the reference computeReference failed: no answer within 0.005 seconds",
    );
  });
});

test("the step's signal ends the call and all who wait for it, with its reason; the next step calls again", async () => {
  const signals: AbortSignal[] = [];
  const answers: ((rows: Tensor[]) => void)[] = [];
  const reference = computedReference<Tensor>((_, { signal }) => {
    signals.push(signal);
    return new Promise<Tensor[]>((resolve) => answers.push(resolve));
  });
  const controller = new AbortController();
  const step = newStep({ signal: controller.signal });
  const waiting = Promise.allSettled([reference.begin(BATCH, step), reference.begin(BATCH, step)]);
  await Promise.resolve();
  controller.abort("enough");
  expect(await waiting).toEqual([
    { status: "rejected", reason: "enough" },
    { status: "rejected", reason: "enough" },
  ]);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  const again = rowsOf(reference, BATCH);
  await Promise.resolve();
  answers[1]!([...ROWS]);
  expect(await again).toEqual(ROWS);
});
