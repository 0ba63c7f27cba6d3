import { describe, expect, test } from "vitest";
import { type Datum, rowCount } from "../../src/data/datum.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import { fieldReference, type GivenLogprobs, givenReference } from "../../src/reference/index.ts";
import { logprobs } from "../divergence/oracle.ts";
import { datumOf } from "../regularizer/datums.ts";
import { newStep, positionByPosition, rowsOf } from "./asking.ts";

const [A, B] = [logprobs([[0.5, 0.5]]), logprobs([[0.1, 0.9]])] as const;
const DATA = [datumOf([1], { source: "train.jsonl:1" }), datumOf([1], { source: "train.jsonl:4" })];

describe("a list", () => {
  test("is in the order of the batch, or one tensor for one datum", async () => {
    expect(await rowsOf(givenReference([A, B]), DATA)).toEqual([A, B]);
    expect(await rowsOf(givenReference([A, B]), DATA.toReversed())).toEqual([A, B]);
    expect(await rowsOf(givenReference(A), DATA.slice(1))).toEqual([A]);
  });

  test("gives each place of a text that stands twice its own rows", async () => {
    expect(await rowsOf(givenReference([A, B]), [DATA[0]!, DATA[0]!])).toEqual([A, B]);
  });

  test("of another length is refused, also when it is longer", async () => {
    const lists: GivenLogprobs[] = [[A], [A, B, A], A];
    for (const list of lists)
      await expect(rowsOf(givenReference(list), DATA)).rejects.toThrow(
        /tensors for 2 datums: give one per datum, or a Map/,
      );
  });
});

describe("a map", () => {
  test("serves any batch in any order, and names the datum that it lacks", async () => {
    const map = new Map([
      [DATA[0]!, A],
      [DATA[1]!, B],
    ]);
    expect(await rowsOf(givenReference(map), DATA.toReversed())).toEqual([B, A]);
    map.delete(DATA[1]!);
    await expect(rowsOf(givenReference(map, { description: "cache.safetensors" }), DATA)).rejects.toThrow(
      "cache.safetensors has no log-probabilities for datum 1 (train.jsonl:4)",
    );
  });

  test("that is changed between steps gives the new rows", async () => {
    const map = new Map([[DATA[0]!, A]]);
    const reference = givenReference(map);
    expect(await rowsOf(reference, DATA.slice(0, 1))).toEqual([A]);
    map.set(DATA[0]!, B);
    expect(await rowsOf(reference, DATA.slice(0, 1))).toEqual([B]);
  });
});

test("parts are cut from the whole", async () => {
  const datum = datumOf([1, 1, 1]);
  const rows = logprobs([
    [0.5, 0.5],
    [0.1, 0.9],
    [0.7, 0.3],
  ]);
  const open = await givenReference([rows]).begin([datum], newStep());
  expect(await open.rows([{ index: 0, from: 1, to: 3 }])).toEqual([tensor(rows.data.slice(2), [2, 2])]);
  expect(await positionByPosition(open, [datum], (part) => (part as Tensor).data)).toEqual([[...rows.data]]);
  expect(rowCount(datum)).toBe(3);
});

describe("rows that were given before", () => {
  test.each([
    ["given", 1],
    ["given", 2],
    ["field", 1],
    ["field", 2],
  ])("%s at temperature %d: are checked and converted once, not in every step", async (kind, temperature) => {
    const rows = tensor(A.data.slice(), A.shape);
    const datum = datumOf([1], { fields: { base: rows } });
    const reference =
      kind === "given" ? givenReference([rows], { temperature }) : fieldReference("base", { temperature });
    const [first] = await rowsOf(reference, [datum]);
    // A second check would find this.
    rows.data.fill(Number.NaN);
    const [second] = await rowsOf(reference, [datum]);
    expect(second).toBe(first);
  });

  test("are made a distribution of their own for each datum where they are of its target tokens", async () => {
    const shared = tensor([Math.log(0.25)], [1]);
    const data = [datumOf([1], { targets: [0] }), datumOf([1], { targets: [1] })];
    const reference = givenReference([shared, shared], { targets: true });
    const tokens = async (data: readonly Datum[]) =>
      (await rowsOf(reference, data)).map((rows) => ("support" in rows ? [...rows.tokens.data] : rows));
    expect(await tokens(data)).toEqual([[0], [1]]);
    expect(await tokens(data.toReversed())).toEqual([[1], [0]]);
  });
});
