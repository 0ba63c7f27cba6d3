import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { writeFileAtomic } from "../../src/common/atomic-file.ts";
import { UserError } from "../../src/common/errors.ts";
import { createRunFolder, nextFreeFolder } from "../../src/run/run-folder.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "klamp-run-"));
});

/** A run folder saves adapters alone. */
const NO_STATE = { saveState: async () => undefined, loadState: async () => undefined };

test("a run folder that exists is refused, and nothing in it changes", () => {
  const path = join(folder, "first");
  mkdirSync(path);
  writeFileSync(join(path, "metrics.jsonl"), "precious\n");
  expect(() => createRunFolder(path, [])).toThrow(UserError);
  expect(() => createRunFolder(path, [])).toThrow(
    `the run folder ${path} exists already, and klamp writes over nothing: choose another (--set output=${path}-2)`,
  );
  expect(readFileSync(join(path, "metrics.jsonl"), "utf8")).toBe("precious\n");
});

test("a folder that cannot be created is a user's error", () => {
  writeFileSync(join(folder, "file"), "");
  expect(() => createRunFolder(join(folder, "file/run"), [])).toThrow(/cannot create the run folder/);
});

test("each metrics row can be read as soon as it is appended", () => {
  const run = createRunFolder(join(folder, "deep/first"), []);
  run.append("metrics.jsonl", { step: 1, loss: 2 });
  expect(readFileSync(join(run.path, "metrics.jsonl"), "utf8")).toBe('{"step":1,"loss":2}\n');
  run.append("metrics.jsonl", { step: 2, loss: 1 });
  expect(readFileSync(join(run.path, "metrics.jsonl"), "utf8").split("\n")).toHaveLength(3);
  run.close();
});

test("saving an adapter again replaces it and leaves no rubbish", async () => {
  const run = createRunFolder(join(folder, "first"), []);
  const engine = (content: string) => ({
    folders: {
      ...NO_STATE,
      saveAdapter: async (to: string) => {
        writeFileSync(join(to, "adapter"), content);
      },
    },
  });
  await run.saveAdapter(engine("one"));
  await run.saveAdapter(engine("two"));
  expect(readFileSync(join(run.path, "adapter/adapter"), "utf8")).toBe("two");
  run.close();
  expect(readdirSync(run.path)).toEqual(["adapter"]);
});

test("a failed save keeps the adapter that was there", async () => {
  const run = createRunFolder(join(folder, "first"), []);
  mkdirSync(join(run.path, "adapter"));
  const failing = { folders: { ...NO_STATE, saveAdapter: () => Promise.reject(new Error("disk full")) } };
  await expect(run.saveAdapter(failing)).rejects.toThrow("disk full");
  run.close();
  expect(readdirSync(run.path)).toEqual(["adapter"]);
});

test("the next free folder counts from 2", () => {
  const path = join(folder, "quickstart");
  expect(nextFreeFolder(path)).toBe(path);
  mkdirSync(path);
  expect(nextFreeFolder(path)).toBe(`${path}-2`);
  mkdirSync(`${path}-2`);
  expect(nextFreeFolder(path)).toBe(`${path}-3`);
});

test("an atomic write leaves the file and nothing else", () => {
  writeFileAtomic(join(folder, "a.json"), "1");
  writeFileAtomic(join(folder, "a.json"), "2");
  expect(readdirSync(folder)).toEqual(["a.json"]);
  expect(readFileSync(join(folder, "a.json"), "utf8")).toBe("2");
});
