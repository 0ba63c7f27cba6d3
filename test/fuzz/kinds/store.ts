import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { type Datum, everyToken } from "../../../src/data/datum.ts";
import { topK } from "../../../src/divergence/supports/top-k.ts";
import type { StoreIdentity } from "../../../src/reference/store/identity.ts";
import { identityJson } from "../../../src/reference/store/identity.ts";
import { encodeEntry } from "../../../src/reference/store/index-entry.ts";
import { inspectStore } from "../../../src/reference/store/inspect.ts";
import { StoreReader } from "../../../src/reference/store/reader.ts";
import { encodeRows } from "../../../src/reference/store/record.ts";
import { positionsOf, textKey } from "../../../src/reference/store/text-key.ts";
import type { FuzzKind } from "../kind.ts";
import { mutateBytes, mutateTree } from "../mutate.ts";

const VOCABULARY = 20;
const WIDTH = 4;
const TEXTS: readonly Datum[] = [3, 5, 8].map((length) =>
  everyToken(
    Array.from({ length }, (_, i) => i),
    "text",
  ),
);
const identityOf = (kind: "top-k" | "hidden"): StoreIdentity => ({
  kind,
  k: kind === "top-k" ? WIDTH : null,
  vocabulary: VOCABULARY,
  hidden_size: kind === "top-k" ? null : WIDTH,
  temperature: 1,
  ...{ model: "sha256:1", adapter: "none", tokenizer: "sha256:2" },
});

function recordOf(datum: Datum, kind: "top-k" | "hidden"): Buffer {
  const positions = positionsOf(datum);
  const shape = [positions.length, WIDTH];
  const size = positions.length * WIDTH;
  const data = new Float32Array(size).fill(-2);
  const tokens = { data: Int32Array.from({ length: size }, (_, i) => 3 * (i % WIDTH)), shape };
  const tail = {
    data: new Float32Array(positions.length).fill(Math.log(1 - WIDTH * Math.exp(-2))),
    shape: [positions.length],
  };
  const kept = kind === "top-k" ? topK(tokens, { data, shape }, { tail }) : { data, shape };
  return encodeRows(
    { positions, kept, entropy: new Float32Array(positions.length).fill(2) },
    { kind, width: WIDTH, vocabulary: VOCABULARY },
  );
}

/** Stores: with bytes changed that checksums tell, and with contents changed under right checksums. */
export const store: FuzzKind = {
  name: "store",
  share: 8,
  open: async (folder) => async (choices) => {
    const kind = choices.of(["top-k", "hidden"] as const);
    const records = TEXTS.map((datum) => {
      const bytes = recordOf(datum, kind);
      return choices.chance(0.3) ? Buffer.from(mutateBytes(bytes, choices)) : bytes;
    });
    let offset = 0;
    const entries = records.map((bytes, i) => {
      const entry = { shard: 0, offset, length: bytes.length, checksum: crc32(bytes), endsBlock: i !== 1 };
      offset += bytes.length;
      const { shard, ...numbers } = choices.chance(0.1) ? mutateTree(entry, choices) : entry;
      const whole = (value: unknown) => (typeof value === "number" ? value >>> 0 : 0);
      return encodeEntry({
        key: textKey(TEXTS[i]!),
        shard: whole(shard) % 3,
        offset: whole(numbers.offset),
        length: whole(numbers.length),
        checksum: whole(numbers.checksum),
        endsBlock: numbers.endsBlock === true,
      });
    });
    const identity = choices.chance(0.15) ? mutateTree(identityOf(kind), choices) : identityOf(kind);
    const files: Record<string, Uint8Array> = {
      "store.json": Buffer.from(identityJson(identity)),
      "index.bin": Buffer.concat(entries),
      "shard-00000.bin": Buffer.concat(records),
    };
    for (const [name, bytes] of Object.entries(files)) {
      const path = join(folder, name);
      rmSync(path, { force: true });
      if (!choices.chance(0.02)) writeFileSync(path, choices.chance(0.1) ? mutateBytes(bytes, choices) : bytes);
    }
    await inspectStore(folder);
    const reader = StoreReader.open(folder);
    try {
      for (const datum of TEXTS) {
        reader.has(datum);
        reader.find(datum);
      }
    } finally {
      reader.close();
    }
  },
};
