import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { writeFileAtomic, writeFolderAtomic, writePartsAtomic } from "../../src/common/atomic-file.ts";
import { temporaryFolder } from "../data/folders.ts";

describe("a file", () => {
  it("is there whole, and nothing beside it", async () => {
    const folder = temporaryFolder();
    writeFileAtomic(join(folder, "one"), "old");
    writeFileAtomic(join(folder, "one"), "new");
    await writePartsAtomic(join(folder, "two"), [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)]);
    expect(readdirSync(folder).sort()).toEqual(["one", "two"]);
    expect(readFileSync(join(folder, "one"), "utf8")).toBe("new");
    expect([...readFileSync(join(folder, "two"))]).toEqual([1, 2, 3]);
  });

  it("stays as it was when the new one cannot be written, and nothing is left beside it", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "one");
    writeFileAtomic(path, "old");
    await expect(writePartsAtomic(path, [Uint8Array.of(1), null as never])).rejects.toThrow();
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["one"]);
  });
});

describe("a folder", () => {
  const fill = (name: string) => async (folder: string) => writeFileSync(join(folder, name), name);

  it("takes the place of the one before it, with what was filled in alone", async () => {
    const folder = join(temporaryFolder(), "state");
    await writeFolderAtomic(folder, fill("old"));
    await writeFolderAtomic(folder, fill("new"));
    expect(readdirSync(folder)).toEqual(["new"]);
    expect(readdirSync(join(folder, ".."))).toEqual(["state"]);
  });

  it("stays as it was when filling fails, and nothing is left beside it", async () => {
    const folder = join(temporaryFolder(), "state");
    await writeFolderAtomic(folder, fill("old"));
    const failing = writeFolderAtomic(folder, async (fresh) => {
      await fill("half")(fresh);
      expect(existsSync(join(fresh, "half"))).toBe(true);
      throw new Error("no luck");
    });
    await expect(failing).rejects.toThrow("no luck");
    expect(readdirSync(folder)).toEqual(["old"]);
    expect(readdirSync(join(folder, ".."))).toEqual(["state"]);
  });
});
