import { describe, expect, test } from "vitest";
import type { Datum } from "../../src/data/datum.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import { RowCache } from "../../src/reference/row-cache.ts";
import { type Asked, type RowSource, sharedReference } from "../../src/reference/shared-reference.ts";
import { datumOf } from "../regularizer/datums.ts";
import { newStep, rowsOf, wholeSpans } from "./asking.ts";

const [A, B, C, D] = ["a", "b", "c", "d"].map((source) => datumOf([1], { source })) as [Datum, Datum, Datum, Datum];
const ROWS = new Map([A, B, C, D].map((datum, i) => [datum, tensor([i, i], [1, 2])]));

/** A reference that says what it was asked. */
function watched(more: Partial<RowSource<Tensor>> = {}) {
  const asked: Asked[] = [];
  const read = async (each: Asked) => {
    asked.push(each);
    return each.data.map((datum) => ROWS.get(datum)!);
  };
  return { asked, reference: sharedReference<Tensor>({ description: "teacher", read, ...more }) };
}

const dataOf = (asked: readonly Asked[]) => asked.map(({ data }) => data.map(({ source }) => source).join(""));

describe("within a step", () => {
  test("a datum is asked about once, however many begin, one after the other or at once", async () => {
    const { asked, reference } = watched();
    const step = newStep();
    const [one, other] = await Promise.all([reference.begin([A, B], step), reference.begin([B, C], step)]);
    const third = await reference.begin([C, B, A], step);
    expect(dataOf(asked)).toEqual(["ab", "c"]);
    expect(await one.rows(wholeSpans([A, B]))).toEqual([ROWS.get(A), ROWS.get(B)]);
    expect(await other.rows(wholeSpans([B, C]))).toEqual([ROWS.get(B), ROWS.get(C)]);
    expect(await third.rows(wholeSpans([C, B, A]))).toEqual([ROWS.get(C), ROWS.get(B), ROWS.get(A)]);
  });

  test("a text that stands twice in the batch is asked about once, and has its rows at both places", async () => {
    const { asked, reference } = watched();
    expect(await rowsOf(reference, [A, B, A])).toEqual([ROWS.get(A), ROWS.get(B), ROWS.get(A)]);
    expect(dataOf(asked)).toEqual(["ab"]);
  });

  test("what is asked about says where it stands in the batch", async () => {
    const { asked, reference } = watched();
    const step = newStep();
    await reference.begin([B], step);
    await reference.begin([A, B, A, C], step);
    expect(asked.map(({ indices }) => indices)).toEqual([[0], [0, 3]]);
    expect(asked[1]!.step).toBe(step);
  });

  test("a failure is that of all who share it; the next step asks again", async () => {
    let calls = 0;
    const { reference } = watched({
      read: async ({ data }) => {
        if (++calls === 1) throw new Error("out of memory");
        return data.map((datum) => ROWS.get(datum)!);
      },
    });
    const step = newStep();
    const failed = await Promise.allSettled([reference.begin([A, B], step), reference.begin([B], step)]);
    for (const one of failed) expect(one).toMatchObject({ status: "rejected", reason: { message: "out of memory" } });
    expect(calls).toBe(1);
    expect(await rowsOf(reference, [A, B])).toEqual([ROWS.get(A), ROWS.get(B)]);
    expect(calls).toBe(2);
  });

  test("nothing is asked once the signal is aborted", async () => {
    const { asked, reference } = watched();
    await expect(reference.begin([A], newStep({ signal: AbortSignal.abort("over") }))).rejects.toBe("over");
    expect(asked).toEqual([]);
  });

  test("another number of answers than data is refused", async () => {
    for (const count of [1, 3]) {
      const { reference } = watched({ read: async () => new Array<Tensor>(count).fill(ROWS.get(A)!) });
      await expect(reference.begin([A, B], newStep())).rejects.toThrow(
        `the reference (teacher) returned ${count} tensors for 2 datums: return one [M, V] per datum, in their order`,
      );
    }
  });

  test("rows are normalized once, with their datum and its index", async () => {
    const normalized: unknown[] = [];
    const { reference } = watched({
      normalizeRows: (datum, index) => {
        normalized.push([datum.source, index]);
        return ROWS.get(D)!;
      },
    });
    const step = newStep();
    await reference.begin([A], step);
    expect(await rowsOf(reference, [B, A, C], step)).toEqual([ROWS.get(D), ROWS.get(D), ROWS.get(D)]);
    expect(normalized).toEqual([
      ["a", 0],
      ["b", 0],
      ["c", 2],
    ]);
  });
});

describe("from step to step", () => {
  test("without a cache every step asks again", async () => {
    const { asked, reference } = watched();
    for (let i = 0; i < 2; i++) await reference.begin([A, B], newStep());
    expect(dataOf(asked)).toEqual(["ab", "ab"]);
  });

  test("with a cache only what is not known is asked about", async () => {
    const { asked, reference } = watched({ cache: new RowCache(1e3) });
    await reference.begin([A, B], newStep());
    expect(await rowsOf(reference, [C, B])).toEqual([ROWS.get(C), ROWS.get(B)]);
    await reference.begin([A, B, C], newStep());
    expect(dataOf(asked)).toEqual(["ab", "c"]);
  });

  test("rows stay with the step under way, whatever gives way in the cache", async () => {
    const { asked, reference } = watched({ cache: new RowCache(8) });
    const step = newStep();
    const open = await reference.begin([A, B], step);
    await reference.begin([C], newStep());
    expect(await open.rows(wholeSpans([A, B]))).toEqual([ROWS.get(A), ROWS.get(B)]);
    // Who shares the step has them too.
    expect(await rowsOf(reference, [B], step)).toEqual([ROWS.get(B)]);
    expect(dataOf(asked)).toEqual(["ab", "c"]);
    await reference.begin([A], newStep());
    expect(dataOf(asked)).toEqual(["ab", "c", "a"]);
  });

  test("a batch is kept whole, also what another had asked about in the same step", async () => {
    const { asked, reference } = watched({ cache: new RowCache(8) });
    const step = newStep();
    await reference.begin([A], step);
    await reference.begin([A, B, C], step);
    await reference.begin([A, B, C], newStep());
    expect(dataOf(asked)).toEqual(["a", "bc"]);
  });
});
