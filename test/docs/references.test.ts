import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/file.ts";
import { keysOf, nodesAt, toTree } from "../../src/config/json-schema.ts";
import { configSchema } from "../../src/config/schema.ts";
import { readPage, runSnippets } from "./page.ts";

/** @file The page on references and anchors: its snippets run and give what they say, its configurations are ones. */

const page = readPage("references.md");

test("snippets run, one after the other, and give what they say", async () => {
  const code = page.blocks("ts");
  const promises = await runSnippets(...code);
  expect(promises).toBe(code.join("").match(/; \/\/ /g)!.length);
  expect(promises).toBeGreaterThan(8);
});

describe("configurations", () => {
  const folder = mkdtempSync(join(tmpdir(), "klamp-docs-"));
  const load = (yaml: string) => {
    const file = join(folder, "config.yaml");
    writeFileSync(file, `model: ./model\ndata: { train: ./train.jsonl }\n${yaml}`);
    return loadConfig(file);
  };

  test.each(page.blocks("yaml").map((yaml, i) => [i, yaml] as const))("%d", (_, yaml) => {
    const { regularizers } = load(yaml);
    expect(regularizers).toHaveLength(1);
  });

  test("every reference of the table is one, and every key is told with its default", () => {
    const [table] = /\| Held to .*?\n\n/s.exec(page.text)!;
    const settings = [...table.matchAll(/^\| [^|]+ \| `([^`]+)`/gm)].map(([, written]) =>
      written!.replace("url: …", "url: 'http://x'").replaceAll("…", "x"),
    );
    expect(settings.length).toBeGreaterThan(5);
    for (const reference of settings) {
      const adapter = reference === "start" ? "train: { adapter: ./adapter }\n" : "";
      load(`${adapter}regularizers: [{ reference: ${reference} }]\n`);
    }
    const told = [...page.text.matchAll(/^\| ((?:`[a-z_]+`(?:, )?)+) \|/gm)].flatMap(([, keys]) =>
      [...keys!.matchAll(/[a-z_]+/g)].map(([key]) => key),
    );
    const tree = toTree(configSchema);
    const at = (...path: (string | number)[]) => keysOf(nodesAt(tree, ["regularizers", 0, ...path]));
    const known = [...at("reference", "server"), ...at("text").filter((key) => key !== "file")];
    expect([...told].sort()).toEqual([...known].sort());
    const { regularizers } = load(
      "regularizers: [{ text: { samples: 1 }, reference: { server: { url: 'http://a', model: b } } }]\n",
    );
    expect(regularizers[0]).toMatchObject({
      text: { batch_size: 8, max_tokens: 36, temperature: 1, seed: null, refresh_every: null },
      reference: { server: { k: 20, protocol: "vllm", api_key_env: null, concurrency: 4, timeout: 300, retries: 4 } },
    });
  });
});
