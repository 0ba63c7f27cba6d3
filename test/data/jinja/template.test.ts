import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { strftime } from "../../../src/data/jinja/strftime.ts";
import { TemplateSyntaxError } from "../../../src/data/jinja/syntax-error.ts";
import { Template } from "../../../src/data/jinja/template.ts";
import { toPython } from "../../../src/data/python/convert.ts";
import { PythonError, type Value } from "../../../src/data/python/values.ts";

/** @file Expressions and statements, against jinja2 as transformers configures it. */

const FIXTURES = new URL("../../fixtures/templates/constructs.json", import.meta.url);
const { constructs, date, dates } = JSON.parse(readFileSync(FIXTURES, "utf8")) as {
  constructs: readonly (readonly [source: string, text: string | null])[];
  date: string;
  dates: readonly (readonly [directive: string, text: string])[];
};

const variables = new Map<string, Value>([
  [
    "messages",
    toPython([
      { role: "system", content: "be" },
      { role: "user", content: "hi 😀" },
      { role: "assistant", content: "yes" },
    ]),
  ],
  ["tools", null],
  ["documents", null],
  ["add_generation_prompt", true],
  ["bos_token", "<s>"],
]);

function rendered(source: string): string | null {
  try {
    return new Template(source).render(variables, new Date()).text;
  } catch (cause) {
    if (cause instanceof TemplateSyntaxError || cause instanceof PythonError) return null;
    throw cause;
  }
}

test("expressions and statements render as in jinja2, or are refused as there", () => {
  expect(constructs.length).toBeGreaterThan(600);
  const differing = constructs
    .map(([source, text]) => ({ source, text, found: rendered(source) }))
    .filter(({ text, found }) => text !== found);
  expect(differing).toEqual([]);
});

test.each(dates)("strftime_now(%j)", (directive, text) => {
  expect(strftime(new Date(date), directive)).toBe(text);
});

test("a date format that is not known is refused", () => {
  expect(() => strftime(new Date(date), "%Q")).toThrow("the date format %Q is not known");
});

test("what Python prints with an address is refused", () => {
  for (const source of ["{{ messages[0].items }}", "{{ [1]|map('string') }}", "{{ range }}", "{{ raise_exception }}"]) {
    expect(() => new Template(source).render(variables, new Date())).toThrow("with an address that changes");
  }
});
