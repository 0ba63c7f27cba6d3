import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KINDS } from "../../src/config/regularizers/index.ts";
import { loadConfig, METRIC_NAMES } from "../../src/index.ts";
import { readPage, runSnippets } from "./page.ts";

/** @file The page on regularizers: its snippets run and give what they say, and its configurations are ones. */

const page = readPage("regularizers.md");

test("snippets run, one after the other, and give what they say", async () => {
  expect(await runSnippets(...page.blocks("ts"))).toBeGreaterThan(15);
});

describe("configurations", () => {
  const folder = mkdtempSync(join(tmpdir(), "klamp-docs-"));

  test.each(page.blocks("yaml").map((yaml, i) => [i, yaml] as const))("%d", (_, yaml) => {
    const file = join(folder, "config.yaml");
    writeFileSync(file, `model: ./model\ndata: { train: ./train.jsonl }\n${yaml}`);
    expect(loadConfig(file).regularizers.length).toBeGreaterThan(0);
  });

  test("of every type are spoken of", () => {
    for (const { type } of KINDS) expect(page.text).toContain(`\`${type}\``);
  });
});

test("names elsewhere are those that renameMetrics gives, and all of them", () => {
  const table = /^\| klamp \| TRL .*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(page.text)![1]!;
  const rows = table.split("\n").filter(Boolean);
  const said = rows.flatMap((line) => {
    const [name, ...others] = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.replaceAll("`", "").trim());
    return (["trl", "verl", "tinker-cookbook"] as const).flatMap((system, i) =>
      others[i] === "" || others[i] === name ? [] : [`${system}: ${name} is ${others[i]}`],
    );
  });
  const given = Object.entries(METRIC_NAMES).flatMap(([system, names]) =>
    Object.entries(names).flatMap(([name, other]) => (name === other ? [] : [`${system}: ${name} is ${other}`])),
  );
  expect(said.sort()).toEqual(given.sort());
});
