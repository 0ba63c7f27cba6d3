import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { ENTRY_BYTES } from "../../src/reference/store/index-entry.ts";
import { klamp } from "../cli/workspace.ts";
import { readPage, runSnippets } from "./page.ts";

/** @file The page on the reference store: its commands run on its configuration, and its snippet gives what it says. */

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const { text: page, blocks } = readPage("reference-store.md");

const folder = mkdtempSync(join(tmpdir(), "klamp-store-page-"));
afterAll(() => rmSync(folder, { recursive: true }));
cpSync(join(ROOT, "models/small-world"), join(folder, "models/base"), { recursive: true });
symlinkSync(join(ROOT, "data/small-world/task/train.jsonl"), join(folder, "train.jsonl"));

test("the commands run on the configuration, and an inspection looks like this", async () => {
  const [yaml] = blocks("yaml");
  writeFileSync(join(folder, "config.yaml"), yaml!);
  const commands = blocks("sh").join("").trim().split("\n");
  expect(commands.map((command) => command.split(" ")[1])).toEqual(["reference", "train", "reference"]);
  const outs: string[] = [];
  for (const command of commands) {
    const args = command
      .split(" ")
      .slice(1)
      .map((arg) => (/^\.\/|\.yaml$/.test(arg) ? join(folder, arg) : arg));
    const shorter = [
      "train.steps=2",
      "evaluate.drift_samples=0",
      "regularizers.1.text.samples=60",
      `output=${join(folder, "run")}`,
    ];
    const short = args.includes("--config") ? shorter.flatMap((set) => ["--set", set]) : [];
    const { code, out, err } = await klamp(...args, ...short);
    expect([command, code, code === 0 ? "" : err]).toEqual([command, 0, ""]);
    outs.push(out);
  }
  const shape = (text: string) =>
    text
      .replace(/sha256:\w+/g, "sha256")
      .replace(/[kM]B/g, "bytes")
      .replace(/█+ *\S+|[\d,.]+/g, "#")
      .replace(/^store .*/, "store");
  const [shown] = blocks("text");
  const lines = (text: string) => shape(text).trimEnd().split("\n");
  expect(lines(outs[2]!).slice(0, 13)).toEqual(lines(shown!).slice(0, 13));
  expect(outs[2]!.match(/^model .*/m)![0]).toBe(shown!.match(/^model .*/m)![0]);
});

test("the snippet gives what it says", async () => {
  const [code] = blocks("ts");
  expect(await runSnippets(code!.replaceAll('"./', `"${folder}/`))).toBe(2);
});

test("what is said of the files is so", () => {
  expect(page).toContain(`${ENTRY_BYTES} bytes a record`);
  expect(readFileSync(join(folder, "reference/store.json"), "utf8")).toContain('"format": "klamp reference store 1"');
});
