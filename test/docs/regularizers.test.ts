import * as diagnosticsChannel from "node:diagnostics_channel";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileFunction } from "node:vm";
import * as jax from "@jax-js/jax";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import * as klamp from "../../src/index.ts";
import * as opentelemetry from "../../src/opentelemetry/index.ts";
import { regularizer } from "../../src/train/config-regularizers.ts";

/** @file The page on regularizers: its snippets run and give what they say, and its configurations are ones. */

const DOCS = new URL("../../docs/", import.meta.url);
const page = readFileSync(new URL("regularizers.md", DOCS), "utf8");
const snippets = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map((match) => match[1]!);
const PACKAGES: Record<string, object> = {
  klamp,
  "klamp/opentelemetry": opentelemetry,
  "node:diagnostics_channel": diagnosticsChannel,
  "@jax-js/jax": jax,
};

/** What a line promises of the expression before it: `expression; // 0.5`, or a list, a text, an object of such. */
const PROMISE = /^([a-zA-Z(].*?); \/\/ (-?[\d.]+|\[.*\]|".*"|\{.*\})$/gm;

test("snippets run, one after the other, and give what they say", async () => {
  const imported = new Map<string, unknown>();
  const bodies = snippets("ts").map((code) =>
    code.replace(/^import \{ (.*?) \} from "(.*?)";\n/gm, (_, names: string, from: string) => {
      for (const name of names.split(", ")) {
        const [there, here] = name.split(" as ") as [string, string | undefined];
        expect(PACKAGES[from]).toHaveProperty(there);
        imported.set(here ?? there, (PACKAGES[from] as Record<string, unknown>)[there]);
      }
      return "";
    }),
  );
  let promises = 0;
  const check = (found: unknown, promised: unknown) => {
    promises++;
    if (typeof promised === "number") expect(Math.abs((found as number) - promised)).toBeLessThan(1e-5);
    else if (typeof promised === "string") expect(found).toBe(promised);
    else {
      const [one, other] = [found, promised].map((each) => Object.entries(each as object));
      expect(one!.map(([key]) => key)).toEqual(other!.map(([key]) => key));
      for (const [i, [, value]] of one!.entries()) check(value, other![i]![1]);
      promises -= one!.length;
    }
  };
  const code = bodies.join("\n");
  const written = [...code.matchAll(PROMISE)].filter(([, expression]) => !expression!.startsWith("const"));
  const checked = code.replace(PROMISE, (line, expression: string, promised: string) =>
    expression.startsWith("const") ? line : `check(${expression}, ${promised});`,
  );
  const { outputText } = ts.transpileModule(`async function page() {\n${checked}\n}`, {
    compilerOptions: { target: ts.ScriptTarget.ES2022 },
  });
  const run = compileFunction(`${outputText}\nreturn page();`, ["check", ...imported.keys()]);
  await run(check, ...imported.values());
  expect(promises).toBe(written.length);
  expect(promises).toBeGreaterThan(15);
});

describe("configurations", () => {
  const folder = mkdtempSync(join(tmpdir(), "klamp-docs-"));

  test.each(snippets("yaml").map((yaml, i) => [i, yaml] as const))("%d", (_, yaml) => {
    const file = join(folder, "config.yaml");
    writeFileSync(file, `model: ./model\ndata: { train: ./train.jsonl }\n${yaml}`);
    expect(klamp.loadConfig(file).regularizers.length).toBeGreaterThan(0);
  });

  test("of every type are spoken of", () => {
    for (const { shape } of regularizer.def.options) {
      const [type] = shape.type._zod.values;
      expect(page).toContain(`\`${String(type)}\``);
    }
  });
});

test("names elsewhere are those that renameMetrics gives, and all of them", () => {
  const table = /^\| klamp \| TRL .*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(page)![1]!;
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
  const given = Object.entries(klamp.METRIC_NAMES).flatMap(([system, names]) =>
    Object.entries(names).flatMap(([name, other]) => (name === other ? [] : [`${system}: ${name} is ${other}`])),
  );
  expect(said.sort()).toEqual(given.sort());
});

test("every link of the page leads somewhere", () => {
  for (const [, target] of page.matchAll(/\]\(([^)#]+)\)/g)) expect(existsSync(new URL(target!, DOCS))).toBe(true);
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!.toLowerCase().replaceAll(" ", "-"));
  for (const [, anchor] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(headings).toContain(anchor);
});
