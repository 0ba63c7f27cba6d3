import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { type Datum, everyToken } from "../../../src/data/datum.ts";
import { selectTopK, tensor } from "../../../src/divergence/index.ts";
import { rowFormat, type StoreIdentity } from "../../../src/reference/store/identity.ts";
import { StoreReader } from "../../../src/reference/store/reader.ts";
import { encodeRows } from "../../../src/reference/store/record.ts";
import { positionsOf, textKey } from "../../../src/reference/store/text-key.ts";
import { type NewRecord, StoreWriter } from "../../../src/reference/store/writer.ts";
import { newFolder } from "./world.ts";

const IDENTITY: StoreIdentity = {
  kind: "top-k",
  k: 64,
  vocabulary: 1000,
  hidden_size: null,
  temperature: 1,
  model: "sha256:0",
  adapter: "none",
  tokenizer: "sha256:0",
};

/** Text i: its tokens say which it is. */
function text(i: number): Datum {
  return everyToken([i % 1000, Math.floor(i / 1000), 7, 8, 9, 10, 11, 12, 13]);
}

/** What is in use once everything that waits to be collected has been. */
async function inUse(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // Buffers are freed on another thread, after the collection that finds them.
  for (let i = 0; i < 3; i++) {
    collect();
    await setTimeout(50);
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test("memory does not grow with the store: at most 24 bytes a text stay, whatever its records take", async () => {
  const [count, step] = [40_000, 2000];
  const folder = newFolder();
  const logits = tensor(
    Float32Array.from({ length: 8 * 1000 }, (_, i) => Math.sin(i * i)),
    [8, 1000],
  );
  const rows = { positions: positionsOf(text(0)), kept: selectTopK(logits, 64), entropy: new Float32Array(8) };
  const bytes = encodeRows(rows, rowFormat(IDENTITY));
  const writer = await StoreWriter.open(folder, IDENTITY, { shardBytes: 2 ** 24 });
  for (let i = 0; i < count; i += step) {
    await writer.append(Array.from({ length: step }, (_, j): NewRecord => ({ key: textKey(text(i + j)), bytes })));
  }
  await writer.close();
  expect(count * bytes.length).toBeGreaterThan(50e6);

  const before = await inUse();
  const store = StoreReader.open(folder);
  expect(store.size).toBe(count);
  for (let i = 0; i < 4000; i++) {
    const found = store.find(text((i * 7919) % count))!;
    expect(found.positions.length).toBe(8);
  }
  expect(store.find(everyToken([1, 2, 3]))).toBeUndefined();
  expect((await inUse()) - before).toBeLessThan(24 * count + 1e6);
  store.close();
}, 60_000);
