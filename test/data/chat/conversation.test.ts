import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/common/errors.ts";
import { contentText, readConversation } from "../../../src/data/chat/index.ts";
import { parsePythonJson } from "../../../src/data/python-json.ts";

const user = { role: "user", content: "hi" };
const assistant = { role: "assistant", content: "yes" };
const call = { role: "assistant", content: null, tool_calls: [{ function: { name: "f", arguments: {} } }] };

test("what a line gives to the template reaches it", () => {
  const messages = [user, { ...assistant, name: "a", thinking: "hm" }];
  const tools = [{ type: "function" }];
  const documents = [{ title: "a" }];
  const line = { messages, tools, documents, chat_template_kwargs: { enable_thinking: false } };
  expect(readConversation(line)).toEqual({ messages, tools, documents, template_kwargs: { enable_thinking: false } });
  expect(readConversation({ messages, template_kwargs: { a: 1 }, tools: null })).toEqual({
    messages,
    template_kwargs: { a: 1 },
  });
});

test("other keys are not handed to it, and known", () => {
  expect(readConversation({ messages: [user], id: 7, tools: [] })).toEqual({
    messages: [user],
    tools: [],
    otherKeys: ["id"],
  });
});

test("tools that are JSON text are read, with their numbers as written", () => {
  const read = readConversation({ messages: [user], tools: '[{"a": 9007199254740993}]' });
  expect(read.tools).toEqual([{ a: 9007199254740993n }]);
});

test("contents are text, parts, or nothing beside a call or a thought", () => {
  const parts = {
    role: "user",
    content: [{ type: "text", text: "a" }, { type: "image" }, { type: "text", text: "b" }],
  };
  const { content: _, ...without } = call;
  const messages = [parts, call, without, { role: "assistant", content: null, reasoning_content: "hm" }, assistant];
  expect(readConversation({ messages }).messages).toEqual(messages);
  expect(messages.map(contentText)).toEqual(["ab", "", "", "", "yes"]);
});

describe("is refused, by its key", () => {
  const of = (message: unknown) => ({ messages: [user, message] });
  test.each<[unknown, string]>([
    [{}, '`messages` is missing, expected a list of {"role": "…", "content": "…"}'],
    [{ messages: {} }, '`messages` is an object of the keys , expected a list of {"role": "…", "content": "…"}'],
    [of(null), 'messages[1] is null, expected a list of {"role": "…", "content": "…"}'],
    [of({ content: "a" }), "messages[1].role is missing, expected text"],
    [of({ role: "", content: "a" }), 'messages[1].role is "", expected text'],
    [
      of({ role: "assistant" }),
      "messages[1].content is missing, expected text, a list of parts, or null beside tool calls",
    ],
    [
      of({ ...call, tool_calls: [] }),
      "messages[1].content is null, expected text, a list of parts, or null beside tool calls",
    ],
    [
      of({ ...assistant, content: 7 }),
      "messages[1].content is 7, expected text, a list of parts, or null beside tool calls",
    ],
    [
      of({ ...assistant, content: ["a"] }),
      'messages[1].content[0] is "a", expected a part such as {"type": "text", "text": "…"}',
    ],
    [
      of({ ...assistant, weight: -1 }),
      "messages[1].weight is -1, expected a number from 0 to 3.4e38, the most that float32 holds",
    ],
    [
      of({ ...assistant, weight: "0" }),
      'messages[1].weight is "0", expected a number from 0 to 3.4e38, the most that float32 holds',
    ],
    [
      of({ ...assistant, weight: 1e39 }),
      "messages[1].weight is 1e+39, expected a number from 0 to 3.4e38, the most that float32 holds",
    ],
    [
      of({ ...user, weight: 1 }),
      "messages[1].weight is 1, and the role `user` is not learned: make it 0, or take it out",
    ],
    [
      of({ ...assistant, train: false }),
      "klamp would ignore `messages[1].train`: say with `weight` how much the turn counts (0 for not at all), or take it out",
    ],
    [{ messages: [user], tools: "no" }, "`tools` is text and cannot be read as JSON: "],
    [{ messages: [user], tools: { a: 1 } }, "`tools` is an object of the keys a, expected a list of objects"],
    [{ messages: [user], documents: ["a"] }, "`documents` is a list of 1, expected a list of objects"],
    [
      { messages: [user], chat_template_kwargs: [1] },
      "`chat_template_kwargs` is a list of 1, expected an object of the template's variables",
    ],
  ])("%j", (line, expected) => {
    const read = () => readConversation(line as Record<string, unknown>);
    expect(read).toThrow(UserError);
    expect(read).toThrow(expected);
  });
});

test("weights may be written as floats", () => {
  const line = parsePythonJson('{"messages": [{"role": "assistant", "content": "a", "weight": 1.0}]}');
  expect(() => readConversation(line as Record<string, unknown>)).not.toThrow();
});
