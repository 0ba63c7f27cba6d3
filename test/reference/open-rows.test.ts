import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { selectTopK, type TopK, topK } from "../../src/divergence/supports/top-k.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import type { ReferenceRows } from "../../src/reference/contract.ts";
import { rowsOpener } from "../../src/reference/open-rows.ts";
import { datumOf } from "../regularizer/datums.ts";
import { positionByPosition, wholeSpans } from "./asking.ts";

const DATA = [3, 6, 2].map((count, d) => datumOf(new Array(count).fill(1), { source: `train.jsonl:${d + 1}` }));
const numbered = (count: number, d: number) =>
  tensor(
    Float32Array.from({ length: 4 * count }, (_, i) => 100 * d + i),
    [count, 4],
  );
const ROWS = [numbered(3, 0), numbered(6, 1), numbered(2, 2)];
const open = (rows: readonly ReferenceRows[] = ROWS) => rowsOpener("teacher")(DATA, rows);

describe("the rows of spans", () => {
  test("of whole data are the rows themselves, in the order of the spans", async () => {
    const found = await open().rows(wholeSpans(DATA).reverse());
    for (const [i, rows] of found.entries()) expect(rows).toBe(ROWS[2 - i]);
  });

  test("of parts are views, in any order", async () => {
    const parts = [
      { index: 1, from: 4, to: 6 },
      { index: 0, from: 0, to: 2 },
      { index: 1, from: 0, to: 1 },
    ];
    const found = (await open().rows(parts)) as Tensor[];
    expect(found.map(({ shape }) => shape)).toEqual([
      [2, 4],
      [2, 4],
      [1, 4],
    ]);
    expect([...found[0]!.data]).toEqual([116, 117, 118, 119, 120, 121, 122, 123]);
    expect([...found[1]!.data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...found[2]!.data]).toEqual([100, 101, 102, 103]);
    for (const [i, { index }] of parts.entries()) expect(found[i]!.data.buffer).toBe(ROWS[index]!.data.buffer);
  });

  test("position by position are the whole", async () => {
    const found = await positionByPosition(open(), DATA, (rows) => (rows as Tensor).data);
    expect(found).toEqual(ROWS.map(({ data }) => [...data]));
  });

  test("of a text that stands twice in the batch are those of its index", async () => {
    const opened = rowsOpener("teacher")([DATA[2]!, DATA[2]!], [ROWS[2]!, numbered(2, 7)]);
    const [second, first] = (await opened.rows([
      { index: 1, from: 0, to: 1 },
      { index: 0, from: 1, to: 2 },
    ])) as Tensor[];
    expect([...second!.data]).toEqual([700, 701, 702, 703]);
    expect([...first!.data]).toEqual([204, 205, 206, 207]);
  });

  test("of a top-k are cut with their rest, where it is known", async () => {
    const whole = tensor(
      Array.from({ length: 24 }, (_, i) => Math.sin(i)),
      [6, 4],
    );
    const [found] = await open([ROWS[0]!, selectTopK(whole, 2), ROWS[2]!]).rows([{ index: 1, from: 2, to: 5 }]);
    expect(found).toEqual(selectTopK(tensor(whole.data.slice(8, 20), [3, 4]), 2));
    const { tokens, logprobs } = selectTopK(whole, 2);
    const [bare] = await open([ROWS[0]!, topK(tokens, logprobs), ROWS[2]!]).rows([{ index: 1, from: 2, to: 5 }]);
    expect((bare as TopK).tail).toBeUndefined();
    expect((bare as TopK).tokens.shape).toEqual([3, 2]);
  });
});

describe("rows that are not one for each position", () => {
  test.each([
    ["too many", numbered(7, 1)],
    ["too few", numbered(4, 1)],
    ["less than their shape says", { data: new Float32Array(20), shape: [6, 4] }],
    ["a top-k of too many", selectTopK(numbered(7, 1), 2)],
  ])("%s: are handed out as they are, of a part too", async (_, wrong) => {
    for (const [from, to] of [
      [0, 6],
      [0, 2],
      [2, 5],
    ] as const) {
      const [found] = await open([ROWS[0]!, wrong, ROWS[2]!]).rows([{ index: 1, from, to }]);
      expect(found).toBe(wrong);
    }
  });

  test("are refused where they would pass for the rows of a part", async () => {
    const failed = open([ROWS[0]!, numbered(3, 1), ROWS[2]!]).rows([{ index: 1, from: 3, to: 6 }]);
    await expect(failed).rejects.toThrow(UserError);
    await expect(failed).rejects.toThrow(
      "shape mismatch, datum 1 (train.jsonl:2): reference (teacher) [3, 4]; the datum has 6 target tokens, one row for each",
    );
  });
});

describe("the answer to the same spans", () => {
  const counted = () => {
    let calls = 0;
    const opener = rowsOpener<Tensor>("teacher", async (rows) => {
      if (++calls === 3) throw new Error("out of memory");
      return rows.map(({ data, shape }) => ({ data: data.map((x) => -x), shape }));
    });
    return { opener, calls: () => calls };
  };

  test("is computed once for all who have the same rows, and again for other spans or rows", async () => {
    const { opener, calls } = counted();
    const spans = wholeSpans(DATA);
    const [one, other] = [opener(DATA, ROWS), opener([...DATA], [...ROWS])];
    const first = await one.rows(spans);
    expect(await other.rows(spans)).toBe(first);
    expect(await one.rows(spans)).toBe(first);
    expect(first[0]!.data[1]).toBe(-1);
    expect(calls()).toBe(1);
    const [elsewhere] = await opener(DATA, ROWS.toReversed()).rows([{ index: 0, from: 0, to: 3 }]);
    expect(elsewhere).toBeDefined();
    expect(calls()).toBe(2);
  });

  test("is that of its own data, though another has begun with other rows and asks with the same spans", async () => {
    const opener = rowsOpener<Tensor>("teacher");
    const spans = [{ index: 0, from: 0, to: 2 }];
    const [here] = await opener([DATA[2]!], [ROWS[2]!]).rows(spans);
    const [there] = await opener([DATA[2]!], [numbered(2, 5)]).rows(spans);
    expect([here!.data[0], there!.data[0]]).toEqual([200, 500]);
  });

  test("is not remembered when it failed", async () => {
    const { opener, calls } = counted();
    const opened = opener(DATA, ROWS);
    for (let i = 0; i < 2; i++) await opened.rows(wholeSpans(DATA));
    const spans = wholeSpans(DATA);
    await expect(opened.rows(spans)).rejects.toThrow("out of memory");
    expect((await opened.rows(spans))[0]!.data[1]).toBe(-1);
    expect(calls()).toBe(4);
  });
});
