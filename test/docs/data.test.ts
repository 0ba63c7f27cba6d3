import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/file.ts";
import { temporaryFolder } from "../data/folders.ts";
import { readPage, runSnippets } from "./page.ts";

/** @file The page on data: its configuration is one, and its snippet runs. */

const { blocks } = readPage("data.md");

test("the settings are those of a configuration", () => {
  const path = join(temporaryFolder(), "config.yaml");
  writeFileSync(path, `model: ./model\n${blocks("yaml").join("")}`);
  expect(loadConfig(path).data).toMatchObject({ train: [expect.any(String), { share: 0.2 }], too_long: "truncate" });
});

test("the snippet runs", async () => {
  expect(await runSnippets(...blocks("ts"))).toBe(2);
});
