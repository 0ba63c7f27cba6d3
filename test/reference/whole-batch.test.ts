import { describe, expect, test } from "vitest";
import { type Datum, rowCount, sliceRows } from "../../src/data/datum.ts";
import { logSoftmax } from "../../src/divergence/log-softmax.ts";
import { selectTopK, type TopK } from "../../src/divergence/supports/top-k.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import { type ComputedOptions, computedReference, givenReference } from "../../src/reference/index.ts";
import { datumOf } from "../regularizer/datums.ts";

/** @file Engines ask for a batch in parts, of which some are rows of one long datum: references answer as for the whole. */

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
/** As an engine that holds four rows at a time would ask: the shortest first, a long one cut. */
const PARTS = [[BATCH[2]!], [BATCH[0]!], [sliceRows(BATCH[1]!, 0, 4)], [sliceRows(sliceRows(BATCH[1]!, 3, 6), 1, 3)]];
const EXPECTED = [[ROWS[2]!], [ROWS[0]!], [rowsFrom(ROWS[1]!, 0, 4)], [rowsFrom(ROWS[1]!, 4, 6)]];

function rowsFrom({ data }: Tensor, from: number, to: number): Tensor {
  return { data: data.slice(from * 4, to * 4), shape: [to - from, 4] };
}

function counted(options?: ComputedOptions) {
  const asked: (readonly Datum[])[] = [];
  const compute = async (data: readonly Datum[]) => {
    asked.push(data);
    return data.map((datum) => ROWS[BATCH.indexOf(datum)]!);
  };
  return { asked, reference: computedReference(compute, options) };
}

describe("computed", () => {
  test("is asked once, for the whole batch, whatever parts come, one after the other or at once", async () => {
    const { asked, reference } = counted();
    for (const [i, part] of PARTS.entries())
      expect(await reference.resolve(part, { batch: BATCH })).toEqual(EXPECTED[i]);
    expect(asked).toEqual([BATCH]);
    // The next step's batch is another list, of the same data or not.
    const next = [...BATCH];
    const answers = await Promise.all(PARTS.map((part) => reference.resolve(part, { batch: next })));
    expect(answers).toEqual(EXPECTED);
    expect(asked).toEqual([BATCH, next]);
  });

  test("two batches at once are not mixed up", async () => {
    const { asked, reference } = counted();
    const [one, other] = [BATCH.slice(0, 2), BATCH.slice(1)];
    for (const cut of PARTS.slice(2)) {
      await Promise.all([one, other].map((batch) => reference.resolve(cut, { batch })));
    }
    expect(asked).toEqual([one, other]);
  });

  test("a top-k is cut with its rest", async () => {
    const whole = selectTopK(ROWS[1]!, 2);
    const reference = computedReference<TopK>(() => [whole]);
    const [found] = await reference.resolve([sliceRows(BATCH[1]!, 2, 5)], { batch: [BATCH[1]!] });
    expect(found).toEqual(selectTopK(rowsFrom(ROWS[1]!, 2, 5), 2));
  });

  test("after a failure the whole batch is asked for again", async () => {
    let calls = 0;
    const reference = computedReference(
      (data) => {
        if (++calls === 1) throw new Error("out of memory");
        return data.map((datum) => ROWS[BATCH.indexOf(datum)]!);
      },
      { retries: 0 },
    );
    await expect(reference.resolve(PARTS[0]!, { batch: BATCH })).rejects.toThrow("out of memory");
    expect(await reference.resolve(PARTS[0]!, { batch: BATCH })).toEqual(EXPECTED[0]);
    expect(await reference.resolve(PARTS[1]!, { batch: BATCH })).toEqual(EXPECTED[1]);
    expect(calls).toBe(2);

    // So it is for all who shared the call that failed.
    calls = 0;
    const [one, other] = [[...BATCH], [...BATCH]];
    const failed = await Promise.allSettled([one, other].map((batch) => reference.resolve(PARTS[0]!, { batch })));
    expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    for (const batch of [one, other]) expect(await reference.resolve(PARTS[0]!, { batch })).toEqual(EXPECTED[0]);
    expect(calls).toBe(3);
  });

  test("a try that fails is repeated without those who wait noticing", async () => {
    let tries = 0;
    const reference = computedReference(
      (data) => {
        if (++tries < 3) throw new Error("busy");
        return data.map(() => ROWS[0]!);
      },
      { sleep: async () => undefined },
    );
    expect(await reference.resolve([BATCH[0]!])).toEqual([ROWS[0]]);
    expect(tries).toBe(3);
  });

  test("data of another batch are a fault, not a wrong answer", async () => {
    const { reference } = counted();
    await expect(reference.resolve(PARTS[0]!, { batch: BATCH.slice(0, 2) })).rejects.toThrow(
      "was asked for a datum that is not part of the batch",
    );
  });

  test("goes on for who still waits, and ends when nobody does", async () => {
    const signals: AbortSignal[] = [];
    let finish = () => {};
    const reference = computedReference((data, { signal }) => {
      signals.push(signal);
      return new Promise<Tensor[]>((resolve) => {
        finish = () => resolve(data.map((datum) => ROWS[BATCH.indexOf(datum)]!));
      });
    });
    const ask = (signal: AbortSignal) => reference.resolve(PARTS[0]!, { batch: BATCH, signal });
    const [one, other, third] = [new AbortController(), new AbortController(), new AbortController()];
    const first = ask(one.signal);
    const second = ask(other.signal);
    one.abort();
    await expect(first).rejects.toBe(one.signal.reason);
    expect(signals[0]!.aborted).toBe(false);
    finish();
    expect(await second).toEqual(EXPECTED[0]);

    const alone = reference.resolve(BATCH, { signal: third.signal });
    await Promise.resolve();
    third.abort("enough");
    await expect(alone).rejects.toBe("enough");
    expect(signals[1]!.aborted).toBe(true);
    // Nothing of the abandoned call is left.
    const again = reference.resolve(BATCH);
    await Promise.resolve();
    finish();
    expect(await again).toEqual(ROWS);
    expect(signals).toHaveLength(3);
  });
});

test("a function may reuse its memory: what it gives is taken anew each time, also where a temperature is taken back", async () => {
  const memory = tensor(ROWS[0]!.data.slice(), ROWS[0]!.shape);
  const reference = computedReference<Tensor>(() => [memory], { temperature: 2 });
  const [first] = await reference.resolve([BATCH[0]!]);
  memory.data.fill(Math.log(0.25));
  const [second] = await reference.resolve([BATCH[0]!]);
  expect(second!.data[0]).toBeCloseTo(Math.log(0.25), 6);
  expect(first!.data[0]).not.toBeCloseTo(Math.log(0.25), 2);
});

describe("given", () => {
  test("a map by whole datums serves rows cut from them", async () => {
    const map = new Map(BATCH.map((datum, i) => [datum, ROWS[i]!]));
    for (const [i, part] of PARTS.entries()) expect(await givenReference(map).resolve(part)).toEqual(EXPECTED[i]);
  });

  test("a list is in the order of the batch, not of the part", async () => {
    for (const [i, part] of PARTS.entries())
      expect(await givenReference(ROWS).resolve(part, { batch: BATCH })).toEqual(EXPECTED[i]);
  });
});
