import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { lineWeight, parseExample } from "../../src/data/example.ts";
import { complaint } from "./folders.ts";

const fail = (reason: string) => new UserError(reason);
const parse = (value: Readonly<Record<string, unknown>>, fields?: readonly string[]) =>
  parseExample({ value, fail }, fields);
const refusal = (value: Readonly<Record<string, unknown>>) => complaint(() => parse(value));

const user = { role: "user", content: "hi" };
const assistant = { role: "assistant", content: "yes" };
const system = { role: "system", content: "be brief" };
const chat = { format: "messages", messages: [user, assistant] };
const tools = [{ type: "function", function: { name: "add" } }];

describe("lines that say the same are the same conversation", () => {
  test.each([
    { messages: [user, assistant] },
    { prompt: [user], completion: [assistant] },
    { instruction: "hi", input: "", output: "yes" },
    { instruction: "hi", input: null, output: "yes", system: "", history: [] },
    { instruction: "hi", output: "yes" },
    {
      conversations: [
        { from: "human", value: "hi" },
        { from: "gpt", value: "yes" },
      ],
    },
    { conversations: [user, assistant] },
    // Tables have every column in every row.
    { messages: [user, assistant], prompt: null, completion: null, text: "", tools: null, images: [], label: null },
  ])("%j", (line) => {
    expect(parse(line)).toEqual(chat);
  });

  test.each([
    { messages: [system, user, assistant], tools },
    { messages: [system, user, assistant], tools: JSON.stringify(tools) },
    { prompt: [system, user], completion: [assistant], tools },
    { instruction: "hi", output: "yes", system: "be brief", tools },
    {
      conversations: [
        { from: "human", value: "hi" },
        { from: "gpt", value: "yes" },
      ],
      system: "be brief",
      tools: JSON.stringify(tools),
    },
  ])("with a system prompt and tools: %j", (line) => {
    expect(parse(line)).toEqual({ format: "messages", messages: [system, user, assistant], tools });
  });
});

test("Alpaca's input stands in the line below its instruction, and its history before", () => {
  const line = { instruction: "Add", input: "1 2", output: "3", history: [["hi", "yes"]] };
  expect(parse(line)).toEqual({
    format: "messages",
    messages: [user, assistant, { role: "user", content: "Add\n1 2" }, { role: "assistant", content: "3" }],
  });
});

test("of a conversational prompt only the completion is learned", () => {
  const line = { prompt: [user, assistant, user], completion: [assistant, user, assistant] };
  expect(parse(line)).toEqual({
    format: "messages",
    messages: [user, { ...assistant, weight: 0 }, user, assistant, user, assistant],
  });
});

test("ShareGPT's calls and results of tools, and the weights of its turns", () => {
  const line = {
    conversations: [
      { from: "system", value: "be brief" },
      { from: "human", value: "hi" },
      { from: "function_call", value: '{"name": "add", "arguments": {"a": 1}}' },
      { from: "observation", value: "2" },
      { from: "gpt", value: "no", weight: 0 },
      { from: "human", value: "hi", weight: null },
      { from: "gpt", value: "yes", weight: 1 },
    ],
  };
  const call = { type: "function", function: { name: "add", arguments: { a: 1 } } };
  expect(parse(line)).toEqual({
    format: "messages",
    messages: [
      system,
      user,
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", content: "2" },
      { role: "assistant", content: "no", weight: 0 },
      user,
      { ...assistant, weight: 1 },
    ],
  });
});

describe("keys that mean something are refused where they are not honoured", () => {
  const bodies = {
    messages: { messages: [user, assistant] },
    prompt: { prompt: "hi", completion: " yes" },
    conversational: { prompt: [user], completion: [assistant] },
    text: { text: "to be" },
    tokens: { tokens: [1, 2] },
    alpaca: { instruction: "hi", output: "yes" },
    shareGpt: { conversations: [user, assistant] },
  };
  const loss = [
    "loss",
    "loss_mask",
    "lossMask",
    "labels",
    "label",
    "train_on_input",
    "train_on_inputs",
    "train",
    "mask",
  ];
  const more = [
    "completion_mask",
    "attention_mask",
    "assistant_masks",
    "sample_weight",
    "advantages",
    "images",
    "input_ids",
  ];

  test.each(
    Object.entries(bodies).flatMap(([name, body]) => [...loss, ...more].map((key) => [key, name, body] as const)),
  )("%s of %s", async (key, _, body) => {
    expect(await refusal({ ...body, [key]: [0, 1] })).toMatch(new RegExp(`^klamp would ignore \`${key}\`: .`));
    expect(await refusal({ ...body, [key]: false })).toMatch(new RegExp(`^klamp would ignore \`${key}\`: .`));
    expect(parse({ ...body, [key]: [0, 1] }, [key])).toMatchObject(parse(body));
  });

  test.each(["prompt", "text", "tokens"] as const)("tools, documents, system and the like of %s", async (name) => {
    for (const key of ["tools", "documents", "chat_template_kwargs", "system", "functions", "history"]) {
      expect(await refusal({ ...bodies[name], [key]: { a: 1 } })).toMatch(`klamp would ignore \`${key}\`: `);
    }
  });

  test("`weights` beside another format", async () => {
    expect(await refusal({ ...bodies.text, weights: [1] })).toMatch(/^this line mixes formats \(`text`, `weights`\)/);
  });

  test("pairs", async () => {
    const expected =
      "this line is a preference pair (`chosen`, `rejected`), and klamp learns from answers alone: give the better one as the last of `messages`, or as `completion` beside its `prompt`";
    expect(await refusal({ prompt: "a", chosen: "b", rejected: "c" })).toBe(expected);
    expect(await refusal({ chosen: [user, assistant], rejected: [user, assistant] })).toBe(expected);
    expect(await refusal({ messages: [user, assistant], rejected: "c" })).toBe(expected);
    expect(await refusal({ input: {}, preferred_output: [assistant], non_preferred_output: [assistant] })).toMatch(
      /^this line is a preference pair \(`preferred_output`, `non_preferred_output`\)/,
    );
  });

  test("and all others are ignored", () => {
    for (const body of Object.values(bodies)) {
      const line = { ...body, id: 1, source: "x", category: ["a"], split: "train", trainer: "y", flags: "z", score: 3 };
      expect(parse(line)).toMatchObject(parse(body));
    }
  });
});

describe("a line's weight", () => {
  const weightOf = (weight: unknown) => lineWeight({ value: { text: "a", weight }, fail });

  test("is 1 unless it is given", () => {
    expect([undefined, null, 0, 0.5, 3e38].map(weightOf)).toEqual([1, 1, 0, 0.5, 3e38]);
  });

  test.each([-1, 1e39, Number.NaN, "1", true, [1]])("%j is refused", async (weight) => {
    expect(await complaint(() => weightOf(weight))).toMatch(/^`weight` is .*, expected how much the line counts: /);
  });
});

test("a message that says in another word what counts is refused, and so is a part that does", async () => {
  for (const key of ["train", "training", "loss_multiplier", "is_masked", "lossMask", "learn", "ignore", "labels"]) {
    expect(await refusal({ messages: [user, { ...assistant, [key]: false }] })).toMatch(
      `klamp would ignore \`messages[1].${key}\`: say with \`weight\``,
    );
  }
  const part = { type: "text", text: "yes", weight: 0 };
  expect(await refusal({ messages: [user, { role: "assistant", content: [part] }] })).toBe(
    "klamp would ignore `messages[1].content[0].weight`: a turn counts as a whole, so give the `weight` to the message, or take it out",
  );
});

const SILENT = "is empty, and the model would learn to say nothing: take the line out";
const BLANK = SILENT.replace("empty", "white space alone");

describe("what cannot be meant is refused", () => {
  test.each<[Record<string, unknown>, string]>([
    [{ text: "" }, `\`text\` ${SILENT}`],
    [{ prompt: "a", completion: "" }, `\`completion\` ${SILENT}`],
    [{ instruction: "a", output: "" }, `\`output\` ${SILENT}`],
    [{ text: " \n" }, `\`text\` ${BLANK}`],
    [{ prompt: "a", completion: "  " }, `\`completion\` ${BLANK}`],
    [{ instruction: "a", output: "\n" }, `\`output\` ${BLANK}`],
    [
      { messages: [user, { role: "assistant", content: " " }] },
      `messages[1].content ${BLANK}, or give the turn \`"weight": 0\``,
    ],
    [
      { messages: [user, { role: "assistant", content: "", tool_calls: [] }] },
      `messages[1].content ${SILENT}, or give the turn \`"weight": 0\``,
    ],
    [
      { messages: [user, assistant], tools: '[{"name": "a", "name": "b"}]' },
      '`tools` is text and cannot be read as JSON: the key "name" is there twice in one object, and only one can count',
    ],
    [
      { messages: [user, { role: "assistant", content: "" }] },
      `messages[1].content ${SILENT}, or give the turn \`"weight": 0\``,
    ],
    [
      { prompt: [user], completion: [{ role: "assistant", content: [] }] },
      `completion[0].content ${SILENT}, or give the turn \`"weight": 0\``,
    ],
    [
      {
        conversations: [
          { from: "human", value: "hi" },
          { from: "gpt", value: "" },
        ],
      },
      `conversations[1].content ${SILENT}, or give the turn \`"weight": 0\``,
    ],
    [{ text: null }, "`text` is null, expected text"],
    [
      { prompt: "a", completion: null },
      "`completion` is null, expected text, or lists of messages for both `prompt` and `completion`",
    ],
    [
      { prompt: [user], completion: " yes" },
      '`prompt` is [{"role":"user","content":"hi"}], expected text, or lists of messages for both `prompt` and `completion`',
    ],
    [{ prompt: [{ content: "a" }], completion: [assistant] }, "prompt[0].role is missing, expected text"],
    [{ output: "yes" }, "`instruction` is missing, expected text: a line of Alpaca's has `instruction` and `output`"],
    [{ instruction: "a", output: "b", input: 7 }, "`input` is 7, expected text"],
    [
      { instruction: "a", output: "b", history: [["c"]] },
      '`history` is [["c"]], expected a list of ["question", "answer"]',
    ],
    [
      { conversations: [{ from: "narrator", value: "a" }] },
      'conversations[0].from is "narrator", expected one of system, human, user, gpt, chatgpt, bot, model, assistant, tool, observation, function_response, function_call',
    ],
    [{ conversations: [{ from: "gpt", value: null }] }, "conversations[0].value is null, expected text"],
    [
      { conversations: [{ from: "function_call", value: "add(1)" }] },
      'conversations[0].value is "add(1)", expected the JSON of a call, {"name": "…", "arguments": {…}}',
    ],
    [
      { conversations: [system, user, assistant], system: "be brief" },
      "`system` and the first of `conversations` are both system prompts: keep one",
    ],
    [
      { messages: [user, { role: "assistant", content: null }] },
      "messages[1].content is null, expected text, a list of parts, or null beside tool calls",
    ],
  ])("%j", async (line, expected) => {
    expect(await refusal(line)).toBe(expected);
  });

  test.each<[Record<string, unknown>, string]>([
    [{ text: "half \ud83d end" }, "`text`"],
    [{ prompt: "\udc00", completion: "a" }, "`prompt`"],
    [{ messages: [user, { role: "assistant", content: "a\ud800" }] }, "messages[1].content"],
    [
      { messages: [user, { role: "assistant", content: [{ type: "text", text: "\ud800a" }] }] },
      "messages[1].content[0].text",
    ],
    [{ instruction: "a", output: "\ud800" }, "messages[1].content"],
    [{ messages: [user, assistant], tools: [{ name: "\udfff" }] }, "tools[0].name"],
    [{ messages: [user, assistant], tools: '[{"name": "\\udfff"}]' }, "tools[0].name"],
  ])("half of a character: %j", async (line, where) => {
    expect(await refusal(line)).toMatch(`${where} has half of a character (\\u`);
  });

  test("and a whole one, or half of one in a key that is ignored, is not", () => {
    expect(parse({ text: "\ud83d\ude00", note: "\ud83d" })).toEqual({ format: "text", text: "😀" });
  });
});

test("deep values are refused, shortened, in no time", async () => {
  const depth = 100_000;
  const deep = JSON.parse("[".repeat(depth) + "]".repeat(depth)) as unknown;
  const shown = `${"[".repeat(37)}…`;
  const started = performance.now();
  expect(await refusal({ text: deep })).toBe(`\`text\` is ${shown}, expected text`);
  expect(await refusal({ tokens: [deep] })).toBe(`tokens[0] is ${shown}, expected token ids, whole numbers from 0`);
  expect(await refusal({ instruction: deep, output: "a" })).toMatch(`\`instruction\` is ${shown}`);
  expect(await refusal({ conversations: [{ from: deep, value: "a" }] })).toMatch(`conversations[0].from is ${shown}`);
  for (const line of [
    { messages: [user, assistant], tools: [{ deep }] },
    { messages: [{ ...user, deep }, assistant] },
  ]) {
    expect(await refusal(line)).toMatch(`is ${shown}, nested more than 200 deep: flatten it`);
  }
  expect(parse({ text: "a", deep })).toEqual({ format: "text", text: "a" });
  expect(performance.now() - started).toBeLessThan(2000);
});
