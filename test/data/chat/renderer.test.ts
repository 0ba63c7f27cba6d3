import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { UserError } from "../../../src/common/errors.ts";
import { type Conversation, chatRenderer, type Message, readConversation } from "../../../src/data/chat/index.ts";
import { parsePythonJson } from "../../../src/data/python-json.ts";

/** @file The texts of transformers' `apply_chat_template`, as scripts/fixtures/templates.py had them made. */

interface Case {
  readonly template: string;
  readonly conversation: string;
  readonly generation_prompt: boolean;
  readonly text: string | null;
  readonly marks?: readonly (readonly [number, number])[];
}

const FIXTURES = new URL("../../fixtures/templates/templates.json", import.meta.url);
const { special_tokens, templates, conversations, cases } = parsePythonJson(readFileSync(FIXTURES, "utf8")) as {
  special_tokens: Record<string, string>;
  templates: Record<string, string>;
  conversations: Record<string, Record<string, unknown>>;
  cases: readonly Case[];
};

const rendererOf = (chatTemplate: string | null, options = {}) =>
  chatRenderer({ chatTemplate, specialTokens: special_tokens, folder: "folder" }, options);

/** The rendering, or null where the template refuses the conversation. */
function renderedOf({ template, conversation, generation_prompt: generationPrompt }: Case) {
  try {
    const renderer = rendererOf(templates[template]!);
    return renderer.render(readConversation(conversations[conversation]!), { generationPrompt });
  } catch (cause) {
    if (cause instanceof UserError) return null;
    throw cause;
  }
}

test("there are at least 30 templates and 8 conversations", () => {
  expect(Object.keys(templates).length).toBeGreaterThanOrEqual(30);
  expect(Object.keys(conversations)).toHaveLength(8);
});

test.each(Object.keys(templates))("%s renders as transformers does, byte for byte", (name) => {
  for (const of of cases.filter(({ template }) => template === name)) {
    expect([of.conversation, renderedOf(of)?.text ?? null]).toEqual([of.conversation, of.text]);
  }
});

test("what {% generation %} marks is what transformers' mask covers", () => {
  const marked = cases.filter(({ marks }) => marks !== undefined);
  expect(marked.length).toBeGreaterThan(4);
  for (const of of marked) {
    const { text, marks } = renderedOf(of)!;
    const points = Array.from(of.text!);
    const expected = of.marks!.map(([start, end]) => points.slice(start, end).join(""));
    expect(marks.map(({ start, end }) => text.slice(start, end))).toEqual(expected);
  }
});

const user = { role: "user", content: "hi" };
const plain: Conversation = { messages: [user] };

test("variables come from the folder, the options and the conversation, the later one winning", () => {
  const renderer = rendererOf("{{ bos_token }}{{ mood }}{{ eos_token }}", { kwargs: { mood: "a", eos_token: "!" } });
  expect(renderer.render(plain).text).toBe("<s>a!");
  expect(renderer.render({ ...plain, template_kwargs: { mood: "b" } }).text).toBe("<s>b!");
  expect(() => renderer.render({ ...plain, template_kwargs: { messages: [] } })).toThrow(
    "`messages` is given to the chat template by the conversation: take it out of the template's variables",
  );
});

test("the variables that a template reads are known, with those that it sets only if they are missing", () => {
  const source =
    "{% if not tools is defined %}{% set tools = none %}{% endif %}{% set x = y %}{{ x }}{% for m in messages %}{{ m }}{% endfor %}";
  expect([...rendererOf(source).variables].sort()).toEqual(["messages", "tools", "y"]);
});

test("a system prompt of the options begins conversations that have none", () => {
  const renderer = rendererOf(null, {
    template: "{% for m in messages %}{{ m.content }};{% endfor %}",
    system: "Be brief.",
  });
  const rendered = (messages: readonly Message[]) => renderer.render(renderer.complete({ messages })).text;
  expect(rendered([user])).toBe("Be brief.;hi;");
  expect(rendered([{ role: "system", content: "Be long." }, user])).toBe("Be long.;hi;");
});

test("one's own template stands in for the folder's", () => {
  expect(rendererOf("folder's", { template: "own" }).render(plain).text).toBe("own");
  expect(() => rendererOf(null)).toThrow("messages need a chat template, and folder has none");
});

test.each([
  ["{% if %}", "the chat template in folder cannot be parsed: line 1: "],
  ["{{ 'a' ", "the chat template in folder cannot be parsed: line 1: `{{` is not closed"],
  ["{% unheard %}", "the chat template in folder cannot be parsed: line 1: the tag `{% unheard %}` is not known"],
  [
    "{% if x %}{{ x|urlize }}{% endif %}",
    "the chat template in folder uses what klamp does not support: the filter `urlize`",
  ],
  ["{{ x is odder }}", "uses what klamp does not support: the test `is odder`"],
  ["{% macro a() %}{{ 'x'.encode() }}{% endmacro %}", "uses what klamp does not support: the method `.encode()`"],
  ["{{ lipsum() }}", "uses what klamp does not support: the function `lipsum`"],
  ["{% if x %}{% include 'x' %}{% endif %}", "uses what klamp does not support: the tag `{% include %}`"],
])("%s is refused when the template is loaded", (source, expected) => {
  expect(() => rendererOf(source)).toThrow(UserError);
  expect(() => rendererOf(source)).toThrow(expected);
});

test("what a template raises, a mistake in it and an endless recursion are the user's to know", () => {
  const complaint = (source: string) => {
    try {
      return rendererOf(source).render(plain).text;
    } catch (cause) {
      return cause instanceof UserError ? cause.message : cause;
    }
  };
  const prefix = "the chat template does not take this conversation: ";
  expect(complaint("{{ raise_exception('no') }}")).toBe(`${prefix}no`);
  expect(complaint("{{ messages[0].a.b }}")).toBe(`${prefix}'dict object' has no attribute 'a'`);
  expect(complaint("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}")).toBe(
    `${prefix}maximum recursion depth exceeded`,
  );
  const deep = parsePythonJson(`${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`);
  const message = { ...user, deep };
  expect(() => rendererOf("{{ messages }}").render({ messages: [message] })).toThrow(
    `${prefix}maximum recursion depth exceeded`,
  );
  expect(complaint("{{ messages.append(1) }}")).toBe(
    `${prefix}access to attribute 'append' of 'list' object is unsafe.`,
  );
});
