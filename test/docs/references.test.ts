import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import { describe, expect, test } from "vitest";
import * as klamp from "../../src/index.ts";
import { configSchema } from "../../src/train/config.ts";
import { loadConfig } from "../../src/train/config-file.ts";
import { schemasAt, validKeys } from "../../src/train/config-walk.ts";

/** @file The page on references and anchors: its snippets run and give what they say, its configurations are ones. */

const DOCS = new URL("../../docs/", import.meta.url);
const page = readFileSync(new URL("references.md", DOCS), "utf8");
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(([, code]) => code!);

/** What a line promises of the expression before it: `expression; // 0.5`, or a text. */
const PROMISE = /^([a-z(].*?); \/\/ (-?[\d.]+|".*")$/gm;

test("snippets run, one after the other, and give what they say", async () => {
  const code = blocks("ts").join("\n");
  const [, names] = /^import \{ (.*?) \} from "klamp";\n/.exec(code)!;
  const exported = new Map(Object.entries<unknown>(klamp));
  const imported = names!.split(", ").map((name) => {
    expect(klamp).toHaveProperty(name);
    return [name, exported.get(name)] as const;
  });
  let promises = 0;
  const check = (found: number | string, promised: number | string) => {
    promises++;
    if (typeof promised === "string") expect(found).toBe(promised);
    else expect(Math.abs((found as number) - promised)).toBeLessThan(1e-5);
  };
  const body = code.replace(/^import .*\n/gm, "").replace(PROMISE, "check($1, $2);");
  const run = compileFunction(`return (async () => {\n${body}\n})()`, ["check", ...imported.map(([name]) => name)]);
  await run(check, ...imported.map(([, value]) => value));
  expect(promises).toBe(code.match(/; \/\/ /g)!.length);
  expect(promises).toBeGreaterThan(8);
});

describe("configurations", () => {
  const folder = mkdtempSync(join(tmpdir(), "klamp-docs-"));
  const load = (yaml: string) => {
    const file = join(folder, "config.yaml");
    writeFileSync(file, `model: ./model\ndata: { train: ./train.jsonl }\n${yaml}`);
    return loadConfig(file);
  };

  test.each(blocks("yaml").map((yaml, i) => [i, yaml] as const))("%d", (_, yaml) => {
    const { regularizers } = load(yaml);
    expect(regularizers).toHaveLength(1);
  });

  test("every reference of the table is one, and every key is told with its default", () => {
    const [table] = /\| Held to .*?\n\n/s.exec(page)!;
    const settings = [...table.matchAll(/^\| [^|]+ \| `([^`]+)`/gm)].map(([, written]) =>
      written!.replaceAll("…", "x"),
    );
    expect(settings.length).toBeGreaterThan(5);
    for (const reference of settings) {
      const adapter = reference === "start" ? "train: { adapter: ./adapter }\n" : "";
      load(`${adapter}regularizers: [{ reference: ${reference} }]\n`);
    }
    const told = [...page.matchAll(/^\| ((?:`[a-z_]+`(?:, )?)+) \|/gm)].flatMap(([, keys]) =>
      [...keys!.matchAll(/[a-z_]+/g)].map(([key]) => key),
    );
    const at = (...path: (string | number)[]) => validKeys(schemasAt(configSchema, ["regularizers", 0, ...path]));
    const known = [...at("reference", "server"), ...at("on").filter((key) => key !== "file")];
    expect([...told].sort()).toEqual([...known].sort());
    const { regularizers } = load(
      "regularizers: [{ on: { samples: 1 }, reference: { server: { url: a, model: b } } }]\n",
    );
    expect(regularizers[0]).toMatchObject({
      on: { rows: 16, max_tokens: 36, temperature: 1, seed: null, refresh_every: null },
      reference: { server: { k: 20, protocol: "vllm", api_key_env: null, concurrency: 4, timeout: 60, retries: 4 } },
    });
  });
});

test("every link of the page leads somewhere", () => {
  for (const [, target] of page.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g))
    expect(existsSync(new URL(target!, DOCS))).toBe(true);
});
