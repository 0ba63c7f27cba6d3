import * as diagnosticsChannel from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { compileFunction } from "node:vm";
import * as jax from "@jax-js/jax";
import ts from "typescript";
import { expect } from "vitest";
import * as divergence from "../../src/divergence/index.ts";
import * as engine from "../../src/engine/index.ts";
import * as klamp from "../../src/index.ts";
import * as opentelemetry from "../../src/opentelemetry/index.ts";
import * as reference from "../../src/reference/index.ts";
import * as store from "../../src/reference/store/index.ts";
import * as regularizer from "../../src/regularizer/index.ts";

/** @file The pages of docs/, as their tests read them, and what runs their snippets. */

export const DOCS = new URL("../../docs/", import.meta.url);

const PACKAGES: Readonly<Record<string, object>> = {
  klamp,
  "klamp/divergence": divergence,
  "klamp/engine": engine,
  "klamp/opentelemetry": opentelemetry,
  "klamp/reference": reference,
  "klamp/reference/store": store,
  "klamp/regularizer": regularizer,
  "node:diagnostics_channel": diagnosticsChannel,
  "@jax-js/jax": jax,
};

export interface Page {
  readonly text: string;
  /** The code blocks of a language, in order. */
  blocks(language: string): string[];
}

export function readPage(name: string): Page {
  const text = readFileSync(new URL(name, DOCS), "utf8");
  return {
    text,
    blocks: (language) =>
      [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(([, code]) => code!),
  };
}

/** What a line promises of the expression before it: `expression; // 0.5`, or a list, a text, an object, a truth. */
const PROMISE = /^(?!const )(\S.*?); \/\/ (-?[\d.]+|\[.*\]|".*"|\{.*\}|true|false)$/gm;

/**
 * Runs code as its reader would, several blocks one after the other, and holds it to what it promises: numbers to five
 * decimals, all else exactly.
 *
 * @returns how many promises it made.
 */
export async function runSnippets(...blocks: readonly string[]): Promise<number> {
  const imported = new Map<string, unknown>();
  const code = blocks.join("\n").replace(/^import \{ (.*?) \} from "(.*?)";\n/gm, (_, names: string, from: string) => {
    for (const name of names.split(", ")) {
      const [there, here = there] = name.split(" as ") as [string, string | undefined];
      expect(PACKAGES[from]).toHaveProperty(there);
      imported.set(here, (PACKAGES[from] as Readonly<Record<string, unknown>>)[there]);
    }
    return "";
  });
  let kept = 0;
  const check = (found: unknown, promised: unknown) => {
    expectClose(found, promised);
    kept++;
  };
  const checked = code.replace(PROMISE, "check($1, $2);");
  const { outputText } = ts.transpileModule(`async function page() {\n${checked}\n}`, {
    compilerOptions: { target: ts.ScriptTarget.ES2022 },
  });
  const run = compileFunction(`${outputText}\nreturn page();`, ["check", ...imported.keys()]);
  await run(check, ...imported.values());
  expect(kept).toBe([...code.matchAll(PROMISE)].length);
  return kept;
}

function expectClose(found: unknown, promised: unknown): void {
  if (typeof promised === "number") expect(Math.abs((found as number) - promised)).toBeLessThan(1e-5);
  else if (typeof promised === "object") {
    const [one, other] = [found, promised].map((each) => Object.entries(each as object)) as [
      [string, unknown][],
      [string, unknown][],
    ];
    expect(one.map(([key]) => key)).toEqual(other.map(([key]) => key));
    for (const [i, [, value]] of one.entries()) expectClose(value, other[i]![1]);
  } else expect(found).toBe(promised);
}
