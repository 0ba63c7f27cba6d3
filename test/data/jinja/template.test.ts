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

test.each([
  ["loops of loops", "{% for i in range(10000) %}{% for j in range(10000) %}{% endfor %}{% endfor %}"],
  [
    "loops that choose nothing",
    "{% for i in range(10000) %}{% for j in range(10000) if false %}{% endfor %}{% endfor %}",
  ],
  ["filters of long lists", "{% for i in range(100000) %}{{ range(100000) | list | length }}{% endfor %}"],
  ["comparisons of long lists", "{% set a = range(100000) | list %}{% for i in a %}{{ -1 in a }}{% endfor %}"],
  ["slices of long texts", "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{{ a[1:] | length }}{% endfor %}"],
])("%s end, after so many steps", (_, source) => {
  expect(() => new Template(source).render(variables, new Date())).toThrow("it takes more than 2,000,000 steps");
});

test.each([
  [
    "a text that doubles",
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
  ],
  [
    "a list of lists",
    "{% set ns = namespace(x=[]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
  ],
  [
    "its JSON",
    "{% set ns = namespace(x=[]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
  ],
  ["a wide text", "{{ 'a'.ljust(10 ** 9) }}"],
  ["a wide number", "{{ '%1000000000d' % 3 }}"],
  ["a wide format", "{{ '{:1000000000}'.format(3) }}"],
  ["a deep indent", "{{ 'a' | indent(10 ** 9, true) }}"],
  ["a text repeated", "{{ 'ab' * 10 ** 9 }}"],
])("%s that no memory holds is refused", (_, source) => {
  expect(() => new Template(source).render(variables, new Date())).toThrow(
    /does not fit in memory|too many digits|steps/,
  );
});

test.each([
  ["a list repeated", "{{ [0] * 10 ** 9 }}", "a list of more than 1048576 items does not fit in memory"],
  ["many slices", "{{ messages | slice(10 ** 9) | list }}", "a list of more than 1048576 items does not fit in memory"],
  [
    "a number that squares itself",
    "{% set ns = namespace(x=3) %}{% for i in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "is too large a number",
  ],
  ["a long number", "{{ 10 ** 5000 }}", "Exceeds the limit (4300 digits) for integer string conversion"],
])("%s is refused", (_, source, message) => {
  expect(() => new Template(source).render(variables, new Date())).toThrow(message);
});
