import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { dataFiles } from "../../scripts/small-world/data-files.ts";
import { modelFiles } from "../../scripts/small-world/model-files.ts";
import { readText } from "./project-files.ts";

test.each([...dataFiles()])("data/small-world/%s is what the generator writes", (name, content) => {
  expect(readText(`data/small-world/${name}`)).toBe(content);
});

test.each([...modelFiles()])("models/small-world/%s is what the generator writes", (name, content) => {
  expect(readText(`models/small-world/${name}`)).toBe(content);
});

test("no data file is left over from another generator", () => {
  const folder = new URL("../../data/small-world/", import.meta.url);
  const found = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".jsonl"));
  expect(found.sort()).toEqual([...dataFiles().keys()].sort());
});
