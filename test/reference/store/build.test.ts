import { cpSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { everyToken } from "../../../src/data/datum.ts";
import { selectTopK, type Tensor, type TopK } from "../../../src/divergence/index.ts";
import { type BuildOptions, buildStore } from "../../../src/reference/store/build.ts";
import { ENTRY_BYTES } from "../../../src/reference/store/index-entry.ts";
import { StoreReader } from "../../../src/reference/store/reader.ts";
import { base, filesOf, head, identityOf, lastRows, newFolder, texts } from "./world.ts";

const DATA = texts(24);
/** Blocks of three texts or so, shards of a few blocks. */
const SMALL = { blockTokens: 30, shardBytes: 2000 };

function build(folder: string, kind: "top-k" | "hidden", data = DATA, more: Partial<BuildOptions> = {}) {
  return buildStore(data, { folder, identity: identityOf(kind), source: base, ...SMALL, ...more });
}

describe.each(["top-k", "hidden"] as const)("%s", (kind) => {
  test("every text is found, and has the base's rows", async () => {
    const folder = newFolder();
    expect(await build(folder, kind)).toMatchObject({ texts: 24, of: 24, found: 0, interrupted: false });
    const store = StoreReader.open(folder);
    expect(store.size).toBe(24);
    const whole = await base.distributions(DATA);
    for (const [i, datum] of DATA.entries()) {
      const { kept } = store.find(datum)!;
      if (kind === "top-k") {
        const expected = selectTopK(whole[i]!, 16);
        for (let row = 0; row < whole[i]!.shape[0]!; row++) {
          const ids = (rows: TopK) => [...rows.tokens.data.subarray(row * 16, row * 16 + 16)].sort((a, b) => a - b);
          expect(ids(kept as TopK)).toEqual(ids(expected));
          expect(Math.exp((kept as TopK).tail!.data[row]!)).toBeCloseTo(Math.exp(expected.tail!.data[row]!), 3);
        }
      } else {
        const [found] = await head.fromHidden([kept as Tensor]);
        found!.data.forEach((logprob, j) => {
          expect(Math.abs(logprob - whole[i]!.data[j]!)).toBeLessThan(0.01);
        });
      }
    }
    store.close();
  });

  test("killed at any moment, a build goes on and ends with the same bytes", async () => {
    const whole = newFolder();
    await build(whole, kind);
    const files = filesOf(whole);
    const shards = [...files.keys()].filter((name) => name.startsWith("shard"));
    expect(shards.length).toBeGreaterThan(2);
    const entries = files.get("index.bin")!;
    // What is on the disk at a moment: some bytes of the shards, in order, and entries of blocks that are whole there.
    const all = Buffer.concat(shards.map((name) => files.get(name)!));
    const blockEnds = [0];
    let written = 0;
    for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
      written += entries.readUInt32LE(at + 24);
      if (entries.readUInt32LE(at + 32) === 1) blockEnds.push(written);
    }
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(ENTRY_BYTES * 3), async (share, torn) => {
        const folder = join(whole, "..", "cut");
        cpSync(whole, folder, { recursive: true });
        let left = Math.floor(share * all.length);
        const blocks = blockEnds.filter((end) => end <= left).length;
        let ends = 0;
        const kept = entriesOf(entries, () => ends++ < blocks - 1);
        // Of the block after them perhaps a part of the entries, when all its records are there.
        const next = blockEnds[blocks] ?? all.length;
        truncateSync(join(folder, "index.bin"), kept + (left === next ? Math.min(torn, entries.length - kept) : 0));
        for (const name of shards) {
          const size = files.get(name)!.length;
          if (left === 0) rmSync(join(folder, name));
          else truncateSync(join(folder, name), Math.min(left, size));
          left -= Math.min(left, size);
        }
        writeFileSync(join(folder, "store.json.123.tmp"), "{");
        await build(folder, kind);
        expect(filesOf(folder)).toEqual(files);
        rmSync(folder, { recursive: true });
      }),
      { numRuns: 12 },
    );
  });

  test("interrupted by its signal, it stops after a block, and goes on", async () => {
    const [whole, folder] = [newFolder(), newFolder()];
    await build(whole, kind);
    const controller = new AbortController();
    const progress: number[] = [];
    const onProgress = ({ texts }: { texts: number }) => {
      progress.push(texts);
      if (progress.length === 2) controller.abort();
    };
    const first = await build(folder, kind, DATA, { signal: controller.signal, onProgress });
    expect(first).toMatchObject({ texts: progress[1], of: 24, interrupted: true });
    const second = await build(folder, kind);
    expect(second).toMatchObject({ texts: 24 - progress[1]!, found: progress[1], interrupted: false });
    expect(filesOf(folder)).toEqual(filesOf(whole));
  });
});

/** How many bytes the entries take up to the end of the last block that `more` lets through. */
function entriesOf(entries: Buffer, more: () => boolean): number {
  let bytes = 0;
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    if (entries.readUInt32LE(at + 32) !== 1) continue;
    if (!more()) break;
    bytes = at + ENTRY_BYTES;
  }
  return bytes;
}

test("what is there already is not computed again; what is new is added, and nothing before it changes", async () => {
  const folder = newFolder();
  await build(folder, "top-k", DATA.slice(0, 10));
  const before = filesOf(folder);
  expect(await build(folder, "top-k", DATA.slice(0, 10))).toMatchObject({ texts: 0, of: 0, found: 10 });
  expect(filesOf(folder)).toEqual(before);
  expect(await build(folder, "top-k")).toMatchObject({ texts: 14, found: 10 });
  for (const [name, bytes] of before) {
    const after = filesOf(folder).get(name)!;
    expect(after.subarray(0, bytes.length).equals(bytes)).toBe(true);
  }
});

test("a text is stored once, is found whatever it is for, and in parts", async () => {
  const folder = newFolder();
  const datum = everyToken([5, 6, 7, 8, 9, 10]);
  const result = await build(folder, "top-k", [datum, lastRows(datum, 2), everyToken([5, 6, 7, 8, 9, 10])]);
  expect(result).toMatchObject({ texts: 1, of: 1 });
  const store = StoreReader.open(folder);
  const whole = store.find(datum)!;
  const part = store.find(lastRows(datum, 2))!;
  expect([...part.positions]).toEqual([3, 4]);
  expect((part.kept as TopK).tokens.data).toEqual((whole.kept as TopK).tokens.data.subarray(48, 80));
  expect((part.kept as TopK).logprobs.data).toEqual((whole.kept as TopK).logprobs.data.subarray(48, 80));
  expect(store.find(everyToken([5, 6, 7, 8, 9]))).toBeUndefined();
  store.close();
});

test("a text of which more rows are asked for is stored again, and both are found", async () => {
  const folder = newFolder();
  const datum = everyToken([5, 6, 7, 8, 9, 10]);
  await build(folder, "hidden", [lastRows(datum, 2)]);
  const store = StoreReader.open(folder);
  expect([store.has(datum), store.has(lastRows(datum, 1))]).toEqual([false, true]);
  expect(store.find(datum)).toBeUndefined();
  store.close();
  expect(await build(folder, "hidden", [datum, lastRows(datum, 2)])).toMatchObject({ texts: 1, of: 1 });
  const larger = StoreReader.open(folder);
  expect(larger.find(datum)!.positions.length).toBe(5);
  larger.close();
});

test("two builds at once: the second to write is refused", async () => {
  const folder = newFolder();
  let other: Promise<unknown> | undefined;
  const first = build(folder, "top-k", DATA, {
    onProgress: () => {
      other ??= build(folder, "top-k", texts(5, 2));
    },
    source: {
      eachRun: async (data, visit) => {
        await other;
        await base.eachRun(data, visit);
      },
    },
  });
  await expect(first).rejects.toThrow("has changed since this build began: another build writes to this store");
});
