import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type DatasetOptions, loadDataset } from "../../src/data/dataset.ts";
import type { Datum } from "../../src/data/datum.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
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

  test("of an empty completion: that it ends", async () => {
    expect(await masks({ prompt: "to be", completion: "" })).toEqual([...words("to be"), "[<|eos|>]"]);
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

describe("of a conversation the assistant's turns are predicted, as the chat template writes them", () => {
  const tokenizer = withTemplate(chatMl);
  const user = { role: "user", content: "to be?" };
  const assistant = { role: "assistant", content: "or not" };
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

  test("of turns that a template rewrites once later ones are there, the last alone is learned", async () => {
    const onlyLast =
      "{% for m in messages %}{% if loop.last or m.role == 'user' %}{{ m.content }}{% else %}(cut){% endif %}|{% endfor %}";
    const two = { messages: [user, assistant, user, assistant] };
    expect(await masks(two, withTemplate(onlyLast))).toEqual([...words("to be?|(cut)|to be?|"), ...marked("or not|")]);
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

const EXPECTED = '{"messages"}, {"prompt", "completion"}, {"text"} or {"tokens", "weights"}';

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
    [{ prompt: ["to"], completion: "" }, '`prompt` is ["to"], expected text'],
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
    [{ tokens: [1, 2], weights: [1, -1] }, "weights[1] is -1, expected finite numbers of at least 0"],
    [{ tokens: [1, 2], weights: [1, null] }, "weights[1] is null, expected finite numbers of at least 0"],
    [
      { tokens: [1, 2], labels: [-100, 2] },
      "klamp would ignore `labels`: give the loss weight of each token as `weights`, or take it out",
    ],
    [{ tokens: [1, 2], weights: [1, 0] }, "there is nothing to predict: every token but the first has weight 0"],
    [{ tokens: [1] }, "there is nothing to predict: the line has 1 tokens, and the first is never predicted"],
    [{ tokens: [] }, "there is nothing to predict: the line has 0 tokens, and the first is never predicted"],
    [{ text: "" }, "there is nothing to predict: the line has 1 tokens, and the first is never predicted"],
  ])("%j", async (line, expected) => {
    expect(await complaint(() => load([good, line, good]), folder)).toBe(`train.jsonl:2: ${expected}`);
  });

  test("too many tokens", async () => {
    const line = { tokens: [1, 2, 3, 4] };
    expect(await load([line], fixture, { maxLength: 4 })).toHaveLength(1);
    expect(await complaint(() => load([line], fixture, { maxLength: 3 }), folder)).toBe(
      "train.jsonl:1: the sequence has 4 tokens, the limit is 3: shorten it, or split it into several lines",
    );
  });

  test("an infinite weight, a NaN, and half an object", async () => {
    expect(await complaint(() => load('{"tokens":[1,2],"weights":[1,1e999]}'), folder)).toBe(
      "train.jsonl:1: weights[1] is Infinity, expected finite numbers of at least 0",
    );
    expect(await complaint(() => load('{"tokens":[1,2],"weights":[1,NaN]}'), folder)).toMatch(
      /^train\.jsonl:1: this line is not valid JSON \(.*\): each line must hold one whole object$/,
    );
    expect(await complaint(() => load('{"text":"a"}\n{"text":\n"b"}\n'), folder)).toMatch(
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

describe("a file", () => {
  const line = '{"text":"to be"}';

  test("may end in blank lines, in none, or have Windows line ends and a byte order mark; other keys are ignored", async () => {
    expect((await load(`${line}\n${line}\n\n \n`)).map(({ source }) => source)).toEqual([
      "train.jsonl:1",
      "train.jsonl:2",
    ]);
    expect(await load(line)).toHaveLength(1);
    expect(await load(`\uFEFF${line}\r\n${line}\r\n`)).toHaveLength(2);
    expect(await load([{ id: 7, label: "x", text: "to be" }])).toHaveLength(1);
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
    expect(await read("sub")).toBe("cannot read sub: it is a folder, expected a JSON Lines file");
    expect(await read("latin1.jsonl")).toBe("cannot read latin1.jsonl: it is not UTF-8 text");
  });
});
