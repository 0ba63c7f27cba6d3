import { describe, expect, test } from "vitest";
import { checkTokenizer, loadTokenizer } from "../../src/data/tokenizer.ts";
import { complaint, MODEL, readJson, templateProcessing, tokenizerFolder } from "./folders.ts";

describe("the fixture's tokenizer", () => {
  const tokenizer = loadTokenizer(MODEL);

  test("knows its vocabulary and special tokens", () => {
    expect(tokenizer).toMatchObject({ vocabularySize: 320, bos: 0, eos: 1, stop: [1], chatTemplate: null });
  });

  test("encodes and decodes any text back to itself", () => {
    for (const text of ["Hello there", "  two spaces\n\tand a tab", "naïve café 日本 🙂", ""]) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  });

  test("recognizes special tokens in a text, and leaves them out of the decoded one unless asked", () => {
    const tokens = tokenizer.encode("<|bos|>the<|eos|>");
    expect([...tokens]).toEqual([0, ...tokenizer.encode("the"), 1]);
    expect(tokenizer.decode(tokens)).toBe("the");
    expect(tokenizer.decode(tokens, { specialTokens: true })).toBe("<|bos|>the<|eos|>");
  });
});

test("special tokens around a text come on request", () => {
  const tokenizer = loadTokenizer(
    tokenizerFolder({ "tokenizer.json": { ...readJson("tokenizer.json"), post_processor: templateProcessing() } }),
  );
  const plain = [...tokenizer.encode("the cat")];
  expect([...tokenizer.encode("the cat", { specialTokens: true })]).toEqual([0, ...plain]);
});

test("the vocabulary counts added tokens with ids beyond the model's own", () => {
  const json = readJson("tokenizer.json");
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const added_tokens = [...(json.added_tokens as object[]), { id: 333, content: "<|im_end|>", ...flags }];
  const tokenizer = loadTokenizer(tokenizerFolder({ "tokenizer.json": { ...json, added_tokens } }));
  expect(tokenizer.vocabularySize).toBe(334);
  expect([...tokenizer.encode("<|im_end|>")]).toEqual([333]);
});

describe("special token ids", () => {
  test("may be written as objects", () => {
    const folder = tokenizerFolder({
      "tokenizer_config.json": { bos_token: { content: "<|bos|>" }, eos_token: { content: "<|eos|>" } },
    });
    expect(loadTokenizer(folder)).toMatchObject({ bos: 0, eos: 1 });
  });

  test("come from config.json, then generation_config.json, where the tokenizer names none", () => {
    expect(loadTokenizer(tokenizerFolder({ "tokenizer_config.json": {} }))).toMatchObject({ bos: 0, eos: 1 });
    const changes = {
      "tokenizer_config.json": {},
      "config.json": null,
      "generation_config.json": { eos_token_id: [7, 9] },
    };
    expect(loadTokenizer(tokenizerFolder(changes))).toMatchObject({ bos: null, eos: 7, stop: [7, 9] });
  });

  test("that only end generation are stops beside EOS", () => {
    const folder = tokenizerFolder({ "generation_config.json": { eos_token_id: [1, 5] } });
    expect(loadTokenizer(folder)).toMatchObject({ eos: 1, stop: [1, 5] });
  });
});

describe("the chat template", () => {
  test("is tokenizer_config.json's, the `default` one of several, or chat_template.jinja before both", () => {
    const named = [
      { name: "tool_use", template: "T" },
      { name: "default", template: "D" },
    ];
    const read = (chat_template: unknown, jinja: string | null = null) =>
      loadTokenizer(tokenizerFolder({ "tokenizer_config.json": { chat_template }, "chat_template.jinja": jinja }))
        .chatTemplate;
    expect(read("C")).toBe("C");
    expect(read(named)).toBe("D");
    expect(read("C", "J")).toBe("J");
    expect(read(undefined)).toBe(null);
  });
});

describe("is refused", () => {
  test.each([
    [{ "tokenizer.json": null }, "cannot read tokenizer.json: there is no such file in the model folder"],
    [{ "tokenizer_config.json": null }, "cannot read tokenizer_config.json: there is no such file in the model folder"],
    [{ "tokenizer.json": "[]" }, "tokenizer.json must hold one JSON object"],
    [{ "tokenizer.json": "{}" }, "tokenizer.json is not a tokenizer that klamp can read: it has no `model`"],
    [
      { "tokenizer_config.json": { eos_token: "</s>" } },
      "tokenizer_config.json names </s> as eos_token, but tokenizer.json has no such token: the two files must belong together",
    ],
  ])("%j", async (changes, expected) => {
    const folder = tokenizerFolder(changes);
    expect(await complaint(() => loadTokenizer(folder), folder)).toBe(expected);
  });

  test("when a file is cut off", async () => {
    const folder = tokenizerFolder({ "tokenizer.json": '{"model": {' });
    expect(await complaint(() => loadTokenizer(folder), folder)).toMatch(/^tokenizer\.json is not valid JSON: /);
  });

  test("when its ids do not fit the model's vocabulary", async () => {
    const tokenizer = loadTokenizer(MODEL);
    checkTokenizer(tokenizer, 320);
    checkTokenizer(tokenizer, 384);
    expect(await complaint(() => checkTokenizer(tokenizer, 319))).toBe(
      `the tokenizer in ${MODEL} uses 320 token ids, the model's vocabulary has 319: use the tokenizer that belongs to the model`,
    );
  });
});

test("a token that the tokenizer adds but does not have is an error, not token 0", async () => {
  const json = JSON.stringify({ ...readJson("tokenizer.json"), post_processor: templateProcessing() });
  const folder = tokenizerFolder({ "tokenizer.json": json.replaceAll('"id":"<|bos|>"', '"id":"<|start|>"') });
  expect(await complaint(() => loadTokenizer(folder).encode("a", { specialTokens: true }))).toBe(
    `the tokenizer in ${folder} has no token for "<|start|>"`,
  );
});
