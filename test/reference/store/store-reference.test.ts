import { afterEach, describe, expect, test, vi } from "vitest";
import { type Tensor, tensor } from "../../../src/divergence/index.ts";
import { isTopK, type ReferenceRows } from "../../../src/reference/contract.ts";
import { buildStore } from "../../../src/reference/store/build.ts";
import { StoreReader } from "../../../src/reference/store/reader.ts";
import { openStoredReference, refuseMissing } from "../../../src/reference/store/store-reference.ts";
import { newStep, positionByPosition, rowsOf, wholeSpans } from "../asking.ts";
import { base, head, identityOf, model, newFolder, texts } from "./world.ts";

const DATA = texts(12);
const KINDS = ["top-k", "hidden"] as const;
afterEach(() => vi.restoreAllMocks());

async function opened(kind: (typeof KINDS)[number], data = DATA) {
  const folder = newFolder();
  await buildStore(data, { folder, identity: identityOf(kind), source: base });
  return openStoredReference(folder, identityOf(kind), head);
}

const numbersOf = (rows: ReferenceRows) =>
  isTopK(rows) ? [...rows.tokens.data, ...rows.logprobs.data, ...rows.tail!.data] : rows.data;

/** The numbers of each position. */
function byPosition(rows: ReferenceRows): number[] {
  if (!isTopK(rows)) return [...rows.data];
  const k = rows.tokens.shape[1]!;
  return Array.from({ length: rows.tokens.shape[0]! }, (_, row) => [
    ...rows.tokens.data.subarray(row * k, row * k + k),
    ...rows.logprobs.data.subarray(row * k, row * k + k),
    rows.tail!.data[row]!,
  ]).flat();
}

describe.each(KINDS)("%s", (kind) => {
  test("a batch is the same whole and position by position", async () => {
    const reference = await opened(kind);
    const step = newStep();
    const open = await reference.begin(DATA, step);
    const whole: number[][] = [];
    // Whole distributions are valid until other spans are asked for.
    for (const span of wholeSpans(DATA)) whole.push(byPosition((await open.rows([span]))[0]!));
    const single = await positionByPosition(open, DATA, numbersOf);
    for (const [i, numbers] of single.entries()) {
      expect(numbers).toHaveLength(whole[i]!.length);
      for (const [j, x] of numbers.entries()) expect(x).toBeCloseTo(whole[i]![j]!, 4);
    }
    reference.close();
  });

  test("rows that were read stay in memory: a second step reads nothing from the disk", async () => {
    const reads = vi.spyOn(StoreReader.prototype, "read");
    const reference = await opened(kind);
    reads.mockClear();
    for (let number = 1; number <= 3; number++) {
      const step = newStep({ number });
      const shared = [await reference.begin(DATA, step), await reference.begin([...DATA, DATA[0]!], step)];
      for (const open of shared) await open.rows(wholeSpans(DATA));
    }
    expect(reads).toHaveBeenCalledTimes(DATA.length);
    reference.close();
  });
});

test("hidden states go through the head once a part, for all who share the store", async () => {
  const folder = newFolder();
  await buildStore(DATA, { folder, identity: identityOf("hidden"), source: base });
  const asked: (readonly Tensor[])[] = [];
  const reference = openStoredReference(folder, identityOf("hidden"), {
    fromHidden: async (hidden) => {
      asked.push(hidden);
      return hidden.map(({ shape }) => tensor(new Float32Array(shape[0]!), [shape[0]!, 1]));
    },
  });
  const step = newStep();
  const [one, other] = [await reference.begin(DATA, step), await reference.begin(DATA, step)];
  const part = [
    { index: 3, from: 0, to: 2 },
    { index: 1, from: 1, to: 2 },
  ];
  const found = await one.rows(part);
  expect(await other.rows(part)).toBe(found);
  expect(asked.map((hidden) => hidden.map(({ shape }) => shape))).toEqual([
    [
      [2, model.config.hiddenSize],
      [1, model.config.hiddenSize],
    ],
  ]);
  reference.close();
});

test("the text that it lacks is named as it stands in the batch; all that are missing are counted before", async () => {
  const reference = await opened("top-k", DATA.slice(0, 10));
  await reference.begin(DATA.slice(0, 10), newStep());
  await expect(rowsOf(reference, [DATA[0]!, DATA[1]!, DATA[11]!])).rejects.toThrow(
    `the reference store ${reference.folder} lacks datum 2 (texts.jsonl:12), or some of its positions: run \`klamp reference build`,
  );
  expect(() => refuseMissing(reference, DATA)).toThrow("lacks 2 of 12 texts, the first is datum 10 (texts.jsonl:11)");
  refuseMissing(reference, DATA.slice(0, 10));
  reference.close();
});
