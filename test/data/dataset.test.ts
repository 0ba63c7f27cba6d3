import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type DatasetOptions, loadDataset } from "../../src/data/dataset.ts";
import type { Datum } from "../../src/data/datum.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { BORDER_IN_TOKEN } from "../../src/data/weighted-tokens.ts";
import { complaint, MODEL, readJson, templateProcessing, temporaryFolder, tokenizerFolder } from "./folders.ts";

const folder = temporaryFolder();
const path = join(folder, "train.jsonl");
const fixture = loadTokenizer(MODEL);
const LIMITS: DatasetOptions = { maxLength: 2048, vocabSize: 320 };

const chatMl = `{% for m in messages %}<|bos|>{{ m.role }}
{{ m.content }}<|eos|>
{% endfor %}{% if add_generation_prompt %}<|bos|>assistant
{% endif %}`;

function withTemplate(chat_template: string): Tokenizer {
  return loadTokenizer(
    tokenizerFolder({ "tokenizer_config.json": { ...readJson("tokenizer_config.json"), chat_template } }),
  );
}

function beginning(closing = false): Tokenizer {
  return loadTokenizer(
    tokenizerFolder({
      "tokenizer.json": { ...readJson("tokenizer.json"), post_processor: templateProcessing(closing) },
    }),
  );
}

function load(
  content: string | readonly unknown[],
  tokenizer = fixture,
  options: Partial<DatasetOptions> = {},
): Promise<Datum[]> {
  writeFileSync(
    path,
    typeof content === "string" ? content : content.map((line) => `${JSON.stringify(line)}\n`).join(""),
  );
  return loadDataset(path, tokenizer, { ...LIMITS, ...options });
}

/** Each token as text with whether it is predicted, and the weight it is predicted with: `the`, `[cat]`, `[cat]*0.5`. */
function masked(
  { modelInput, lossInputs: { target_tokens, weights, positions } }: Datum,
  tokenizer = fixture,
): string[] {
  const word = (id: number) => tokenizer.decode([id], { specialTokens: true });
  const predicted = new Map([...positions!.data].map((at, row) => [at + 1, row]));
  const last = predicted.get(modelInput.length);
  const tokens = [...modelInput, ...(last === undefined ? [] : [target_tokens.data[last]!])];
  return tokens.map((id, i) => {
    const row = predicted.get(i);
    if (row === undefined) return word(id);
    expect(target_tokens.data[row]).toBe(id);
    return `[${word(id)}]${weights.data[row] === 1 ? "" : `*${weights.data[row]}`}`;
  });
}

async function masks(line: unknown, tokenizer = fixture): Promise<string[]> {
  return masked((await load([line], tokenizer))[0]!, tokenizer);
}

const words = (text: string, tokenizer = fixture) => [...tokenizer.encode(text)].map((id) => tokenizer.decode([id]));
const marked = (text: string, tokenizer = fixture) => words(text, tokenizer).map((word) => `[${word}]`);

const user = { role: "user", content: "to be?" };
const assistant = { role: "assistant", content: "or not" };

describe("what is predicted", () => {
  test("of prompt and completion: the completion and EOS", async () => {
    expect(await masks({ prompt: "to be", completion: " or not" })).toEqual([
      ...words("to be"),
      ...marked(" or not"),
      "[<|eos|>]",
    ]);
  });

  test("a prompt begins with BOS where the tokenizer says so, and an EOS it would add is left off", async () => {
    for (const closing of [false, true]) {
      const tokenizer = beginning(closing);
      const expected = ["<|bos|>", ...words("to be"), ...marked(" or"), "[<|eos|>]"];
      expect(await masks({ prompt: "to be", completion: " or" }, tokenizer)).toEqual(expected);
    }
  });

  test("an EOS that is written already is not doubled", async () => {
    expect(await masks({ prompt: "to", completion: " be<|eos|>" })).toEqual([
      ...words("to"),
      ...marked(" be"),
      "[<|eos|>]",
    ]);
    expect(await masks({ text: "to be" }, beginning(true))).toEqual(["<|bos|>", ...marked("to be"), "[<|eos|>]"]);
  });

  test("of a text: all but its first token, and EOS", async () => {
    const [first, ...rest] = words("to be or");
    expect(await masks({ text: "to be or" })).toEqual([first, ...rest.map((word) => `[${word}]`), "[<|eos|>]"]);
    expect(await masks({ text: "to be" }, beginning())).toEqual(["<|bos|>", ...marked("to be"), "[<|eos|>]"]);
  });

  test("of tokens: all but the first, with the weights given, and nothing is added", async () => {
    const [datum] = await load([{ tokens: [5, 6, 7, 8], weights: [9, 0.5, 0, 2] }]);
    expect(datum).toEqual({
      modelInput: Int32Array.of(5, 6, 7),
      lossInputs: {
        target_tokens: { data: Int32Array.of(6, 8), shape: [2] },
        weights: { data: Float32Array.of(0.5, 2), shape: [2] },
        positions: { data: Int32Array.of(0, 2), shape: [2] },
      },
      source: "train.jsonl:1",
    });
    const [all] = await load([{ tokens: [5, 6, 7] }]);
    expect([...all!.lossInputs.weights.data]).toEqual([1, 1]);
    expect([...all!.lossInputs.positions!.data]).toEqual([0, 1]);
  });
});

describe("tokens are those of the whole", () => {
  test("BOS that is written already is not doubled", async () => {
    const tokenizer = beginning();
    const once = ["<|bos|>", ...words("to be"), ...marked(" or"), "[<|eos|>]"];
    expect(await masks({ prompt: "<|bos|>to be", completion: " or" }, tokenizer)).toEqual(once);
    expect(await masks({ text: "<|bos|>to be" }, tokenizer)).toEqual(["<|bos|>", ...marked("to be"), "[<|eos|>]"]);
    expect((await masks({ text: "<|bos|>to be" }))[0]).toBe("<|bos|>");
  });

  test("a completion that goes on within a token of the prompt is learned from that token, and told of once", async () => {
    const notices: string[] = [];
    const [whole, within] = await load(
      [
        { prompt: "to be", completion: " the cat" },
        { prompt: "to be ", completion: "the cat" },
        { prompt: "to be ", completion: "the" },
      ],
      fixture,
      { notice: (sentence) => notices.push(sentence) },
    );
    expect(words(" the cat")[0]).toBe(" the");
    expect({ ...within!, source: "" }).toEqual({ ...whole!, source: "" });
    expect(notices).toEqual([BORDER_IN_TOKEN]);
  });

  test("a text of 130,000 words is refused by its length alone, whichever form it has", async () => {
    const long = "the ".repeat(130_000);
    const count = fixture.encode(long).length + 1;
    const expected = `train.jsonl:1: the sequence has ${count} tokens, the limit is 2048`;
    expect(await complaint(() => load([{ text: long }]), folder)).toContain(expected);
    expect(await complaint(() => load([{ prompt: "", completion: long }]), folder)).toContain(expected);
    const [datum] = await load([{ text: long }], fixture, { maxLength: count });
    expect(datum!.modelInput).toHaveLength(count - 1);
  });

  test("a character without a token is refused by file and line", async () => {
    const json = readJson("tokenizer.json");
    const { model } = json as { model: { vocab: Record<string, number>; merges: unknown[] } };
    const { ð: byte, ...vocab } = model.vocab;
    expect(byte).toBeDefined();
    const tokenizer = loadTokenizer(tokenizerFolder({ "tokenizer.json": { ...json, model: { ...model, vocab } } }));
    const said = await complaint(() => load([{ text: "to be" }, { text: "or 🙂" }], tokenizer), folder);
    expect(said).toMatch(/^train\.jsonl:2: the tokenizer in .* has no token for "🙂" \(U\+1F642\)/);
  });
});

describe("of a conversation the assistant's turns are predicted, as the chat template writes them", () => {
  const tokenizer = withTemplate(chatMl);
  const asked = ["<|bos|>", ...words("user\nto be?"), "<|eos|>", ...words("\n"), "<|bos|>", ...words("assistant\n")];
  const answered = [...marked("or not"), "[<|eos|>]", ...marked("\n")];

  test("one turn", async () => {
    expect(await masks({ messages: [user, assistant] }, tokenizer)).toEqual([...asked, ...answered]);
  });

  test("several turns, and what follows the last is left out", async () => {
    expect(await masks({ messages: [user, assistant, user, assistant, user] }, tokenizer)).toEqual([
      ...asked,
      ...answered,
      ...asked,
      ...answered,
    ]);
  });

  test("the template reads special tokens and other keys of a message", async () => {
    const template = "{{ bos_token }}{% for m in messages %}{{ m.name }}:{{ m.content }}{{ eos_token }}{% endfor %}";
    const messages = [
      { ...user, name: "a" },
      { ...assistant, name: "b" },
    ];
    expect(await masks({ messages }, withTemplate(template))).toEqual([
      "<|bos|>",
      ...words("a:to be?"),
      "<|eos|>",
      ...marked("b:or not"),
      "[<|eos|>]",
    ]);
  });

  test("a template that ends no turn: EOS ends the last answer, and no other", async () => {
    const plain =
      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
    const turn = [...words("user: to be?\nassistant: "), ...marked("or not\n")];
    const found = await masks({ messages: [user, assistant, user, assistant] }, withTemplate(plain));
    expect(found.filter((word) => word === "[<|eos|>]")).toHaveLength(1);
    expect(found.at(-1)).toBe("[<|eos|>]");
    expect(found.join("").replaceAll(/[[\]]/g, "")).toBe(
      `${[...turn, ...turn].join("").replaceAll(/[[\]]/g, "")}<|eos|>`,
    );
  });

  test("of turns that a template rewrites once later ones are there, the last alone is learned", async () => {
    const onlyLast =
      "{% for m in messages %}{% if loop.last or m.role == 'user' %}{{ m.content }}{% else %}(cut){% endif %}|{% endfor %}";
    const two = { messages: [user, assistant, user, assistant] };
    const expected = [...words("to be?|(cut)|to be?|"), ...marked("or not|"), "[<|eos|>]"];
    expect(await masks(two, withTemplate(onlyLast))).toEqual(expected);
  });

  test("weights of turns, tools and numbers reach mask and template as they are written", async () => {
    const template =
      "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}{{ 'to be' if tools[0].values()|join(' ') == '9007199254740993 1.0 1e-07' else 'not' }}";
    const tools = '[{"n": 9007199254740993, "x": 1.0, "y": 1e-7}]';
    const messages = JSON.stringify([user, { ...assistant, weight: 0 }, user, { ...assistant, weight: 0.5 }]);
    const [datum] = await load(`{"messages": ${messages}, "tools": ${tools}}\n`, withTemplate(template));
    const given = [...words("to be?"), "<|eos|>"];
    const half = [...marked("or not"), "[<|eos|>]", ...marked("to be")].map((token) => `${token}*0.5`);
    expect(masked(datum!)).toEqual([...given, ...words("or not"), "<|eos|>", ...given, ...half]);
  });

  test("a template that refuses the conversation says why", async () => {
    const strict =
      "{% if messages[0].role != 'system' %}{{ raise_exception('a system turn must come first') }}{% endif %}";
    expect(await complaint(() => load([{ messages: [user, assistant] }], withTemplate(strict)), folder)).toBe(
      "train.jsonl:1: the chat template does not take this conversation: a system turn must come first",
    );
  });

  test("no template, a broken one, and no assistant", async () => {
    expect(await complaint(() => load([{ messages: [user, assistant] }]), folder)).toBe(
      `train.jsonl:1: messages need a chat template, and ${MODEL} has none: add one to its tokenizer_config.json, or give the data as {"prompt", "completion"}`,
    );
    expect(await complaint(() => load([{ messages: [user, assistant] }], withTemplate("{% if %}")), folder)).toMatch(
      /^train\.jsonl:1: the chat template in .* cannot be parsed: /,
    );
    expect(await complaint(() => load([{ messages: [user] }], tokenizer), folder)).toBe(
      "train.jsonl:1: no message has the role `assistant`: there is nothing to learn here",
    );
  });
});

describe("fields", () => {
  const vocabSize = 8;
  const vector = (row: number) => Array.from({ length: vocabSize }, (_, v) => -(row * 10 + v + 1));
  const line = (base_logprobs: unknown) => ({ tokens: [5, 6, 7, 3], weights: [1, 1, 0, 1], base_logprobs });
  const options = { fields: ["base_logprobs"], vocabSize };

  test("become loss inputs with the vectors of the kept rows", async () => {
    const [datum] = await load([line([vector(0), vector(1), vector(2)])], fixture, options);
    expect(datum!.lossInputs.base_logprobs).toEqual({
      data: Float32Array.from([...vector(0), ...vector(2)]),
      shape: [2, 8],
    });
  });

  test.each([
    [
      undefined,
      "train.jsonl:1: the field `base_logprobs` is missing, expected [3, 8], a vector for each token but the first",
    ],
    [
      [1, 2, 3],
      "train.jsonl:1: the field `base_logprobs` is not a list of vectors, expected [3, 8], a vector for each token but the first",
    ],
    [
      [vector(0), vector(1)],
      "train.jsonl:1: the field `base_logprobs` has shape [2, 8], expected [3, 8], a vector for each token but the first",
    ],
    [
      [vector(0), vector(1), [1]],
      "train.jsonl:1: the field `base_logprobs` has shape [3, 1], expected [3, 8], a vector for each token but the first",
    ],
    [
      [vector(0), vector(1), [...vector(2).slice(1), null]],
      "train.jsonl:1: base_logprobs[2][7] is null, expected a number",
    ],
    [
      [vector(0), vector(1), [-1e39, ...vector(2).slice(1)]],
      "train.jsonl:1: base_logprobs[2][0] is -1e+39, expected a number that float32 holds",
    ],
  ])("%j is refused", async (field, expected) => {
    expect(await complaint(() => load([line(field)], fixture, options), folder)).toBe(expected);
  });

  test("that are not asked for are ignored, and none may take a reserved name", async () => {
    const [datum] = await load([line([1])], fixture, { vocabSize });
    expect(Object.keys(datum!.lossInputs)).toEqual(["target_tokens", "weights", "positions"]);
    expect(await complaint(() => load([line([1])], fixture, { fields: ["weights"] }))).toBe(
      "a field cannot be called `weights`, which has a meaning of its own: rename it in the data",
    );
  });
});

const EXPECTED =
  '{"messages"}, {"prompt", "completion"}, {"text"}, {"tokens", "weights"}, {"conversations"} or {"instruction", "input", "output"}';
const WEIGHTS = "numbers from 0 to 3.4e38, the most that float32 holds";
const SILENT = "is empty, and the model would learn to say nothing";

describe("a line is refused, by its number", () => {
  const good = { prompt: "to", completion: " be" };

  test.each<[unknown, string]>([
    [{ id: 3 }, `this line has the keys \`id\`, expected one of ${EXPECTED}`],
    [{}, `this line has no keys, expected one of ${EXPECTED}`],
    [
      { ...good, text: "to be" },
      `this line mixes formats (\`prompt\`, \`completion\`, \`text\`): expected exactly one of ${EXPECTED}`,
    ],
    [
      { ...good, weights: [1] },
      `this line mixes formats (\`prompt\`, \`completion\`, \`weights\`): expected exactly one of ${EXPECTED}`,
    ],
    [{ prompt: "to" }, "`completion` is missing: a line of prompt and completion needs both"],
    [
      { prompt: ["to"], completion: "" },
      '`prompt` is ["to"], expected text, or lists of messages for both `prompt` and `completion`',
    ],
    [{ text: 7 }, "`text` is 7, expected text"],
    [{ messages: [] }, '`messages` is [], expected a list of {"role": "…", "content": "…"}'],
    [{ messages: ["hello"] }, 'messages[0] is "hello", expected a list of {"role": "…", "content": "…"}'],
    [
      { messages: [{ role: "user" }] },
      "messages[0].content is missing, expected text, a list of parts, or null beside tool calls",
    ],
    [{ messages: [{ role: 1, content: "" }] }, "messages[0].role is 1, expected text"],
    [[good], 'this line is a list, expected one object such as {"prompt": "…", "completion": "…"}'],
    [7, 'this line is 7, expected one object such as {"prompt": "…", "completion": "…"}'],
    [{ tokens: "1 2" }, '`tokens` is "1 2", expected a list of token ids, whole numbers from 0'],
    [{ tokens: [1, 2.5] }, "tokens[1] is 2.5, expected token ids, whole numbers from 0"],
    [{ tokens: [1, -2] }, "tokens[1] is -2, expected token ids, whole numbers from 0"],
    [{ weights: [1] }, "`tokens` is missing, expected a list of token ids, whole numbers from 0"],
    [{ tokens: [1, 320] }, "token 1 has the id 320, the model's vocabulary has 320, ids 0 to 319"],
    [{ tokens: [1, 2], weights: [1] }, "there are 1 weights for 2 tokens, expected one for each"],
    [{ tokens: [1, 2], weights: [1, -1] }, `weights[1] is -1, expected ${WEIGHTS}`],
    [{ tokens: [1, 2], weights: [1, null] }, `weights[1] is null, expected ${WEIGHTS}`],
    [
      { tokens: [1, 2], labels: [-100, 2] },
      "klamp would ignore `labels`: give the loss weight of each token as `weights`, or take it out",
    ],
    [{ tokens: [1, 2], weights: [1, 0] }, "there is nothing to predict: every token but the first has weight 0"],
    [{ tokens: [1] }, "there is nothing to predict: the line has 1 tokens, and the first is never predicted"],
    [{ tokens: [] }, "there is nothing to predict: the line has 0 tokens, and the first is never predicted"],
    [{ tokens: [1, 2], weights: [1, 1e39] }, `weights[1] is 1e+39, expected ${WEIGHTS}`],
    [{ text: "" }, `\`text\` ${SILENT}: take the line out`],
    [{ prompt: "to", completion: "" }, `\`completion\` ${SILENT}: take the line out`],
  ])("%j", async (line, expected) => {
    expect(await complaint(() => load([good, line, good]), folder)).toBe(`train.jsonl:2: ${expected}`);
  });

  test("too many tokens", async () => {
    const line = { tokens: [1, 2, 3, 4] };
    expect(await load([line], fixture, { maxLength: 4 })).toHaveLength(1);
    expect(await complaint(() => load([line], fixture, { maxLength: 3 }), folder)).toBe(
      "train.jsonl:1: the sequence has 4 tokens, the limit is 3; shorten or split what is too long, or set data.too_long to truncate or drop",
    );
  });

  test("an infinite weight, a NaN, and half an object", async () => {
    expect(await complaint(() => load('{"tokens":[1,2],"weights":[1,1e999]}'), folder)).toBe(
      `train.jsonl:1: weights[1] is Infinity, expected ${WEIGHTS}`,
    );
    expect(await complaint(() => load('{"tokens":[1,2],"weights":[1,NaN]}'), folder)).toMatch(
      /^train\.jsonl:1: this line is not valid JSON \(.*\): each line must hold one whole object$/,
    );
    expect(await complaint(() => load('{"text":"a"}\n{"text":\n'), folder)).toMatch(
      /^train\.jsonl:2: this line is not valid JSON \(.*\): each line must hold one whole object$/,
    );
  });

  test("a tokenizer without EOS cannot end a completion", async () => {
    const silent = loadTokenizer(
      tokenizerFolder({ "tokenizer_config.json": {}, "config.json": null, "generation_config.json": null }),
    );
    expect(await complaint(() => load([good], silent), folder)).toBe(
      `train.jsonl:1: the tokenizer in ${silent.folder} names no token that ends a text: set eos_token in its tokenizer_config.json, or give the data as {"tokens"}`,
    );
    expect(await load([{ tokens: [1, 2] }], silent)).toHaveLength(1);
  });
});

test("a line of which nothing is learned but ends of answers is refused, unless it is tokens", async () => {
  const expected =
    "train.jsonl:1: what is learned of this line is nothing but the end of an answer, and the model would learn to say nothing: take the line out";
  expect(await complaint(() => load([{ prompt: "to be", completion: "<|eos|>" }]), folder)).toBe(expected);
  const trimming = "{% for m in messages %}{{ m.content|replace('x', '') }}{{ eos_token }}\n{% endfor %}";
  const x = { messages: [user, { role: "assistant", content: "xx" }] };
  expect(await complaint(() => load([x], withTemplate(trimming)), folder)).toBe(expected);
  expect(await load([{ tokens: [5, 1], weights: [0, 1] }])).toHaveLength(1);
  expect(await load([{ text: "a" }])).toHaveLength(1);
});

describe("what of chats is not shown or learned is told once, with how much of it", () => {
  test("answers that a template writes differently once later ones are there", async () => {
    const onlyLast =
      "{% for m in messages %}{% if loop.last or m.role == 'user' %}{{ m.content }}{% else %}(cut){% endif %}|{% endfor %}";
    const notices: string[] = [];
    const lines = [1, 2, 3].map((turns) => ({
      messages: Array.from({ length: turns }, () => [user, assistant]).flat(),
    }));
    await load(lines, withTemplate(onlyLast), { notice: (sentence) => notices.push(sentence) });
    expect(notices.map((sentence) => sentence.replaceAll(`${folder}/`, ""))).toEqual([
      "3 answers in 2 lines of train.jsonl are given and not learned, since the chat template writes such turns differently once later ones are there, as those do that leave earlier reasoning out; to learn one, end a line with it (the first: train.jsonl:2, messages[1])",
    ]);
  });

  test("messages and tools that it does not write", async () => {
    const template = "{% for m in messages if m.role != 'tool' %}{{ m.content }}{{ eos_token }}{% endfor %}";
    const notices: string[] = [];
    const line = { messages: [user, { role: "tool", content: "rain" }, assistant], tools: [{ type: "function" }] };
    await load([line, line], withTemplate(template), { notice: (sentence) => notices.push(sentence) });
    expect(notices.map((sentence) => sentence.replaceAll(`${folder}/`, ""))).toEqual([
      "the chat template writes nothing of 2 messages in 2 lines of train.jsonl, so the model is not shown that (the first: train.jsonl:1, messages[1].content of the role tool)",
      "the chat template does not read `tools`, which 2 lines of train.jsonl give, so the model is not shown that (the first: train.jsonl:1)",
    ]);
  });
});

describe("several bad lines are told in one message", () => {
  test("each with its place, whatever is wrong with it", async () => {
    const lines = ['{"prompt":"to"}', '{"tokens":[1,2,3]}', '{"text":"to', '{"tokens":[1,2,3,4]}', '{"text":1}'];
    expect(await complaint(() => load(lines.join("\n"), fixture, { maxLength: 3 }), folder)).toMatch(
      new RegExp(
        [
          "^4 lines cannot be used:",
          "  train.jsonl:1: `completion` is missing: .*",
          "  train.jsonl:3: this line is not valid JSON .*",
          "  train.jsonl:4: the sequence has 4 tokens, the limit is 3",
          "  train.jsonl:5: `text` is 1, expected text",
          "shorten or split what is too long, or set data.too_long to truncate or drop$",
        ].join("\n"),
      ),
    );
  });

  test("ten at most, and how many more", async () => {
    const message = await complaint(() => load(Array.from({ length: 13 }, () => ({ text: 1 }))), folder);
    expect(message.split("\n")).toEqual([
      "13 lines cannot be used:",
      ...Array.from({ length: 10 }, (_, i) => `  train.jsonl:${i + 1}: \`text\` is 1, expected text`),
      "  and 3 more",
    ]);
  });
});

describe("lines that are too long", () => {
  const tokens = (length: number) => ({ tokens: Array.from({ length }, (_, i) => i + 2) });
  const lines = [tokens(3), tokens(6), tokens(9), { tokens: [2, 3, 4, 5], weights: [1, 0, 0, 1] }];
  const lengths = (data: readonly Datum[]) => data.map(({ modelInput }) => modelInput.length + 1);
  const read = async (tooLong: "truncate" | "drop", maxLength: number) => {
    const notices: string[] = [];
    const data = await load(lines, fixture, {
      maxLength,
      tooLong,
      notice: (sentence) => notices.push(sentence.replaceAll(`${folder}/`, "")),
    });
    return { data, notices };
  };

  test("are refused, the longest named", async () => {
    expect(await complaint(() => load(lines, fixture, { maxLength: 4 }), folder)).toBe(
      [
        "2 lines cannot be used:",
        "  train.jsonl:2: the sequence has 6 tokens, the limit is 4",
        "  train.jsonl:3: the sequence has 9 tokens, the limit is 4",
        "of the 2 lines that are too long, the longest has 9 tokens: shorten or split what is too long, or set data.too_long to truncate or drop",
      ].join("\n"),
    );
  });

  test("are cut at their end, and left out where nothing to learn is left", async () => {
    const { data, notices } = await read("truncate", 3);
    expect(lengths(data)).toEqual([3, 3, 3]);
    expect(data.map(({ source }) => source)).toEqual(["train.jsonl:1", "train.jsonl:2", "train.jsonl:3"]);
    expect(masked(data[1]!)).toEqual(masked((await load([tokens(3)]))[0]!));
    expect(notices).toEqual([
      "3 of 4 lines of train.jsonl had more than 3 tokens (the longest, train.jsonl:3, has 9) and were cut at the end; 1 of them had nothing to learn after that and was left out",
    ]);
  });

  test("are left out", async () => {
    const { data, notices } = await read("drop", 4);
    expect(lengths(data)).toEqual([3, 4]);
    expect(notices).toEqual([
      "2 of 4 lines of train.jsonl had more than 4 tokens (the longest, train.jsonl:3, has 9) and were left out",
    ]);
    expect((await read("drop", 9)).notices).toEqual([]);
    expect(await complaint(() => read("drop", 2), folder)).toBe(
      "train.jsonl: no line is left to learn from: 4 of 4 lines of train.jsonl had more than 2 tokens (the longest, train.jsonl:3, has 9) and were left out",
    );
  });

  test("keep the vectors of the rows they keep", async () => {
    const vector = (row: number) => Array.from({ length: 16 }, (_, v) => -(row * 16 + v + 1));
    const line = { ...tokens(5), q: [vector(0), vector(1), vector(2), vector(3)] };
    const options = { maxLength: 3, tooLong: "truncate", fields: ["q"], vocabSize: 16 } as const;
    const [datum] = await load([line], fixture, options);
    expect(datum!.lossInputs.q).toEqual({ data: Float32Array.from([...vector(0), ...vector(1)]), shape: [2, 16] });
  });

  test("of a million tokens take no more than their time", async () => {
    const started = performance.now();
    expect(
      await load([tokens(1_000_000)], fixture, { maxLength: 8, vocabSize: 2_000_000, tooLong: "truncate" }),
    ).toHaveLength(1);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe("a line's weight", () => {
  test("multiplies the weights of its tokens", async () => {
    const [tokens, prompt] = await load([
      { tokens: [5, 6, 7], weights: [1, 0.5, 2], weight: 3 },
      { prompt: "to be", completion: " or", weight: 0.25 },
    ]);
    expect([...tokens!.lossInputs.weights.data]).toEqual([1.5, 6]);
    expect(new Set(prompt!.lossInputs.weights.data)).toEqual(new Set([0.25]));
  });

  test("of 0 leaves it out, and that is told", async () => {
    const notices: string[] = [];
    const lines = [{ text: "to be", weight: 0 }, { text: "to be" }, { text: "to be", weight: 1e-60 }];
    const data = await load(lines, fixture, {
      notice: (sentence) => notices.push(sentence.replaceAll(`${folder}/`, "")),
    });
    expect(data.map(({ source }) => source)).toEqual(["train.jsonl:2"]);
    expect(notices).toEqual(["2 of 3 lines of train.jsonl have weight 0 and are left out"]);
  });

  test("that makes one beyond float32 is refused", async () => {
    const line = { tokens: [1, 2], weights: [1, 1e30], weight: 1e30 };
    expect(await complaint(() => load([line]), folder)).toBe(
      "train.jsonl:1: `weight` times the weights of this line's tokens is more than 3.4e38, the most that float32 holds: lower it",
    );
  });
});

describe("a file", () => {
  const line = '{"text":"to be"}';

  test("may end in blank lines, in none, or have Windows line ends and a byte order mark; other keys are ignored", async () => {
    expect((await load(`${line}\n${line}\n\n \n`)).map(({ source }) => source)).toEqual([
      "train.jsonl:1",
      "train.jsonl:2",
    ]);
    expect(await load(line)).toHaveLength(1);
    expect(await load(`\uFEFF${line}\r\n${line}\r\n`)).toHaveLength(2);
    expect(await load([{ id: 7, source: "x", category: [1], text: "to be" }])).toHaveLength(1);
  });

  test("larger than one read keeps lines, and characters, whole", async () => {
    const text = "é\u2028日".repeat(9000);
    const whole = await load(`${JSON.stringify({ text })}\n${line}\n`, fixture, { maxLength: 1_000_000 });
    expect(whole).toHaveLength(2);
    expect(fixture.decode([whole[0]!.modelInput[0]!, ...whole[0]!.lossInputs.target_tokens.data])).toBe(text);
  });

  test.each([
    ["", "train.jsonl: the file is empty: expected JSON Lines, one example a line"],
    ["\n\n", "train.jsonl: the file is empty: expected JSON Lines, one example a line"],
    [`${line}\n\n\n${line}`, "train.jsonl:2: this line is empty: take it out"],
  ])("%j is refused", async (content, expected) => {
    expect(await complaint(() => load(content), folder)).toBe(expected);
  });

  test("that cannot be read is refused", async () => {
    const read = (name: string) => complaint(() => loadDataset(join(folder, name), fixture, LIMITS), folder);
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "latin1.jsonl"), Buffer.from('{"text":"caf\xe9"}', "latin1"));
    expect(await read("none.jsonl")).toBe("cannot read none.jsonl: there is no such file");
    expect(await read("sub")).toBe("cannot read sub: it is a folder: name its files, as in FOLDER/*.jsonl");
    expect(await read("latin1.jsonl")).toBe("cannot read latin1.jsonl: it is not UTF-8 text");
  });
});
