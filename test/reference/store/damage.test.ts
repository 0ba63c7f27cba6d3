import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { UserError } from "../../../src/common/errors.ts";
import type { Datum } from "../../../src/data/datum.ts";
import { buildStore } from "../../../src/reference/store/build.ts";
import type { StoreIdentity } from "../../../src/reference/store/identity.ts";
import { ENTRY_BYTES } from "../../../src/reference/store/index-entry.ts";
import { inspectStore } from "../../../src/reference/store/inspect.ts";
import { openStoredReference } from "../../../src/reference/store/store-reference.ts";
import { newStep } from "../asking.ts";
import { base, filesOf, head, identityOf, newFolder, texts } from "./world.ts";

const DATA = texts(12);

async function newStore(kind: "top-k" | "hidden" = "top-k"): Promise<string> {
  const folder = newFolder();
  const how = { folder, identity: identityOf(kind), source: base, blockTokens: 40, shardBytes: 1500 };
  await buildStore(DATA, how);
  return folder;
}

/** Opens the store and looks all texts up. */
async function useAll(folder: string, data: readonly Datum[] = DATA, needed = identityOf("top-k")): Promise<void> {
  const reference = openStoredReference(folder, needed, head);
  try {
    for (const datum of data) await reference.begin([datum], newStep());
  } finally {
    reference.close();
  }
}

test("a byte that flipped anywhere is found, and said to be in that file", async () => {
  const folder = await newStore();
  const files = filesOf(folder);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files.keys()),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (name, at, flip) => {
        const bytes = Buffer.from(files.get(name)!);
        bytes[at % bytes.length]! ^= flip;
        writeFileSync(join(folder, name), bytes);
        const error = await useAll(folder).catch((error: unknown) => error);
        // A name of the identity in other letters is another identity.
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).toContain(join(folder, name));
        writeFileSync(join(folder, name), files.get(name)!);
      },
    ),
    { numRuns: 60 },
  );
  await useAll(folder);
});

test("a shard that is cut off or missing: the record is named, and which bytes are not there", async () => {
  const folder = await newStore();
  const shard = join(folder, "shard-00001.bin");
  truncateSync(shard, filesOf(folder).get("shard-00001.bin")!.length - 1);
  await expect(useAll(folder)).rejects.toThrow(
    /damaged at .*shard-00001\.bin, record \d+ \(\d+ bytes from byte \d+\): the file ends after \d+ of them; delete its folder and build it again/,
  );
  rmSync(shard);
  await expect(useAll(folder)).rejects.toThrow(/damaged at .*shard-00001\.bin: the file is missing/);
});

test("an index that is cut off has lost its last block: its texts are missing, and a build brings them back", async () => {
  const folder = await newStore();
  const whole = filesOf(folder);
  truncateSync(join(folder, "index.bin"), whole.get("index.bin")!.length - ENTRY_BYTES / 2);
  await expect(useAll(folder)).rejects.toThrow(
    /lacks datum 0 \(texts\.jsonl:\d+\), or some of its positions: run `klamp reference build/,
  );
  await buildStore(DATA, { folder, identity: identityOf("top-k"), source: base, blockTokens: 40, shardBytes: 1500 });
  expect(filesOf(folder)).toEqual(whole);
});

test("an inspection finds all that is damaged, and counts the rest", async () => {
  const folder = await newStore();
  const sound = await inspectStore(folder);
  expect(sound).toMatchObject({ texts: 12, faults: [] });
  const name = "shard-00000.bin";
  const bytes = filesOf(folder).get(name)!;
  bytes[5]! ^= 1;
  bytes[bytes.length - 5]! ^= 1;
  writeFileSync(join(folder, name), bytes);
  const { texts: count, faults } = await inspectStore(folder);
  expect(count).toBe(10);
  expect(faults).toHaveLength(2);
  for (const fault of faults) expect(fault).toContain("its checksum does not match its content");
});

test("the store of another reference is refused, naming all that differs with both values", async () => {
  const folder = await newStore();
  const differing: [Partial<StoreIdentity>, string][] = [
    [{ k: 8 }, "its k is 16, expected 8"],
    [{ model: "sha256:1" }, `its model is ${identityOf("top-k").model}, expected sha256:1`],
    [
      { adapter: "sha256:2", temperature: 2 },
      "its adapter is none, expected sha256:2; its temperature is 1, expected 2",
    ],
    [{ tokenizer: "sha256:3" }, "its tokenizer is sha256:0, expected sha256:3"],
    [
      identityOf("hidden"),
      "its kind is top-k, expected hidden; its k is 16, expected none; its hidden size is none, expected 64",
    ],
  ];
  for (const [change, message] of differing) {
    const needed = { ...identityOf("top-k"), ...change };
    await expect(useAll(folder, DATA, needed)).rejects.toThrow(`${folder} is of another reference: ${message}: choose`);
    const how = { folder, identity: needed, source: base };
    await expect(buildStore(DATA, how)).rejects.toThrow(message);
  }
});

test("folders that are no store are refused, and left as they are", async () => {
  const folder = newFolder();
  await expect(useAll(folder)).rejects.toThrow(`there is no reference store in ${folder}: build it with`);
  const other = join(folder, "..", "other");
  const store = await newStore();
  rmSync(join(store, "store.json"));
  const before = filesOf(store);
  const how = { folder: store, identity: identityOf("top-k"), source: base };
  await expect(buildStore(DATA, how)).rejects.toThrow("is not a reference store, it has no store.json: choose another");
  expect(filesOf(store)).toEqual(before);
  await buildStore(DATA, { ...how, folder: other });
  const json = filesOf(other).get("store.json")!.toString().replace("store 1", "store 9");
  writeFileSync(join(other, "store.json"), json);
  await expect(useAll(other)).rejects.toThrow('has the format "klamp reference store 9", this klamp reads');
});
