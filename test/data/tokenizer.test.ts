import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { UnigramDefinition } from "../../src/data/tokenizer/unigram.ts";
import { checkTokenizer, loadTokenizer } from "../../src/data/tokenizer.ts";
import { tokenizeWith } from "../../src/data/weighted-tokens.ts";
import { complaint, type Json, MODEL, readJson, templateProcessing, tokenizerFolder } from "./folders.ts";
import { definitionOf, FIXTURES, KINDS } from "./tokenizer/fixtures.ts";

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

test("a special token that the text begins or ends with is not added again", () => {
  const tokenizer = loadTokenizer(
    tokenizerFolder({ "tokenizer.json": { ...readJson("tokenizer.json"), post_processor: templateProcessing(true) } }),
  );
  const plain = [...tokenizer.encode("the cat")];
  for (const text of ["the cat", "<|bos|>the cat", "the cat<|eos|>", "<|bos|>the cat<|eos|>"]) {
    expect([...tokenizer.encode(text, { specialTokens: true })]).toEqual([0, ...plain, 1]);
  }
  expect([...tokenizer.encode("<|eos|>the cat<|bos|>", { specialTokens: true })]).toEqual([0, 1, ...plain, 0, 1]);
  expect([...tokenizer.encode("", { specialTokens: true })]).toEqual([0, 1]);
});

test("added special tokens hold none of the text", () => {
  const tokenizer = loadTokenizer(
    tokenizerFolder({ "tokenizer.json": { ...readJson("tokenizer.json"), post_processor: templateProcessing(true) } }),
  );
  const { ids, starts, ends } = tokenizer.encodeSpans("a", { specialTokens: true });
  expect([[...ids], [...starts], [...ends]]).toEqual([
    [0, ...tokenizer.encode("a"), 1],
    [0, 0, 1],
    [0, 1, 1],
  ]);
});

test("decoding changes nothing, whatever tokenizer_config.json says of cleaning up", () => {
  const settings = { ...readJson("tokenizer_config.json"), clean_up_tokenization_spaces: true };
  const tokenizer = loadTokenizer(tokenizerFolder({ "tokenizer_config.json": settings }));
  for (const text of ["x != y , it 's n't . ?", "\ufeffa", "a\ufeff", " 've  \r\n"]) {
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  }
  const bytes = loadTokenizer(join(FIXTURES, "gemma"));
  expect(bytes.decode(bytes.encode("\ufeffx != y , \u{1f600} 's"))).toBe("\ufeffx != y , \u{1f600} 's");
});

test("texts of more tokens than a call has room for are no different from short ones", () => {
  const tokenizer = loadTokenizer(MODEL);
  const long = "the cat ".repeat(130_000);
  const { tokens, weights } = tokenizeWith(tokenizer)({ format: "text", text: long });
  expect(tokens.length).toBeGreaterThan(130_000);
  expect(weights.length).toBe(tokens.length);
  expect(tokenizer.decode(tokens)).toBe(long);
});

test("a character that the vocabulary has no token for is named, unless the text itself writes the unknown token", async () => {
  const { model, added_tokens, ...rest } = definitionOf("unigram");
  const folder = tokenizerFolder({
    "tokenizer.json": { ...rest, added_tokens, model: { ...model, byte_fallback: false } } as Json,
    "tokenizer_config.json": { eos_token: "</s>" },
    "config.json": null,
    "generation_config.json": null,
  });
  const tokenizer = loadTokenizer(folder);
  expect(await complaint(() => tokenizer.encode("be \u{10000} or"))).toBe(
    `the tokenizer in ${folder} has no token for "\u{10000}" (U+10000), and the model would see nothing or its unknown token in its place: take such characters out, or use a model whose tokenizer has tokens for all bytes`,
  );
  expect(tokenizer.encode("<unk>")).toEqual(Int32Array.of(0));
  expect(tokenizer.notices).toEqual([
    expect.stringMatching(
      /^the tokenizer cannot spell every text, such as "." \(U\+[0-9A-F]{4}\), for which it has no token: lines that hold such characters are refused, not learned as its unknown token$/u,
    ),
  ]);
});

test("a variable for the template that it does not read is told of", () => {
  const chat_template = "{% if enable_thinking %}{% endif %}{{ messages[0].content }}";
  const folder = tokenizerFolder({ "tokenizer_config.json": { ...readJson("tokenizer_config.json"), chat_template } });
  const noticesOf = (kwargs: Json) => loadTokenizer(folder, { chat: { kwargs } }).notices.join("\n");
  expect(noticesOf({ enable_thinkin: false })).toContain(
    "the chat template does not read `enable_thinkin`, which data.template_kwargs gives it: is it written so?",
  );
  expect(noticesOf({ enable_thinking: false })).not.toContain("does not read");
});

test("a vocabulary that lacks some byte is told of when it is opened, a whole one is not", async () => {
  const { model, ...rest } = definitionOf("unigram");
  const vocab = (model as UnigramDefinition).vocab.map(([piece, score]) => [piece === "<0xF3>" ? "zz" : piece, score]);
  const folder = tokenizerFolder({
    "tokenizer.json": { ...rest, model: { ...model, vocab } } as Json,
    "tokenizer_config.json": { eos_token: "</s>" },
    "config.json": null,
    "generation_config.json": null,
  });
  expect(loadTokenizer(folder).notices[0]).toMatch(/^the tokenizer cannot spell every text, such as ".+" \(U\+C0000\)/);
  for (const kind of KINDS) expect(loadTokenizer(join(FIXTURES, kind)).notices, kind).toEqual([]);
});

test("half a surrogate pair is refused, a whole one is not", async () => {
  const tokenizer = loadTokenizer(MODEL);
  expect(await complaint(() => tokenizer.encode("ab\ud800c"))).toBe(
    "the text has \\ud800, half of a surrogate pair, at character 2: no such character can be tokenized; write the pair, or take it out",
  );
  expect(tokenizer.decode(tokenizer.encode("\u{10ffff}"))).toBe("\u{10ffff}");
});

test("the vocabulary counts added tokens with ids beyond the model's own", () => {
  const json = readJson("tokenizer.json");
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const added_tokens = [...(json.added_tokens as object[]), { id: 333, content: "<|im_end|>", ...flags }];
  const tokenizer = loadTokenizer(tokenizerFolder({ "tokenizer.json": { ...json, added_tokens } }));
  expect(tokenizer.vocabularySize).toBe(334);
  expect([...tokenizer.encode("<|im_end|>")]).toEqual([333]);
});

test("tokenizer_config.json has the last word on added tokens, and may add some, as in transformers 5.18", () => {
  const flags = { lstrip: false, rstrip: false, single_word: false, normalized: false, special: true };
  const tokenizer = loadTokenizer(
    tokenizerFolder({
      "tokenizer.json": definitionOf("byte-level") as unknown as Json,
      "tokenizer_config.json": {
        added_tokens_decoder: {
          0: { ...flags, content: "<|end|>", rstrip: true },
          1300: { ...flags, content: "<|fresh|>" },
        },
      },
    }),
  );
  const word = (id: number) => tokenizer.decode([id], { specialTokens: true });
  const tokens = [...tokenizer.encode("a <|end|> \n b <|fresh|>")];
  expect(tokens.map(word)).toEqual(["a", " ", "<|end|>", "b", " ", "<|fresh|>"]);
  expect([tokens.at(-1), tokenizer.vocabularySize]).toEqual([1205, 1206]);
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

describe("where an answer ends", () => {
  const folder = (chat_template: string, eos_token = "<|eos|>") =>
    tokenizerFolder({
      "tokenizer_config.json": { bos_token: "<|bos|>", eos_token, chat_template },
      "config.json": { eos_token_id: 1 },
      "generation_config.json": null,
    });

  test("is told by the template too, and a folder that disagrees with itself is told so", () => {
    const turn = "{% for m in messages %}{{ m.content }}<|bos|>{% endfor %}";
    const { eos, stop, notices } = loadTokenizer(folder(turn));
    expect({ eos, stop }).toEqual({ eos: 1, stop: [1, 0] });
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatch(/^the chat template ends an answer with <\|bos\|> \(0\), but tokenizer_config\.json, /);
  });

  test("of a folder that agrees there is nothing to say", () => {
    const turn = "{% for m in messages %}{{ m.content }}{{ eos_token }}\n{% endfor %}";
    expect(loadTokenizer(folder(turn))).toMatchObject({ eos: 1, stop: [1], notices: [] });
    expect(loadTokenizer(folder("{% if %}"))).toMatchObject({ stop: [1], notices: [] });
  });

  test("is that of a template of one's own, where one is given", () => {
    const chatTemplate = "{% for m in messages %}{{ m.content }}<|bos|>{% endfor %}";
    const tokenizer = loadTokenizer(folder("{{ messages[1].content }}{{ eos_token }}"), { chatTemplate });
    expect(tokenizer).toMatchObject({ chatTemplate, stop: [1, 0] });
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

  test.each<[Json, string]>([
    [{ normalizer: { type: "Lowercase" } }, "the normalizer Lowercase"],
    [{ pre_tokenizer: { type: "Punctuation" } }, "the pre-tokenizer Punctuation"],
    [{ decoder: { type: "WordPiece" } }, "the decoder WordPiece"],
    [{ post_processor: { type: "Other" } }, "the post-processor Other"],
    [{ model: { type: "WordPiece", vocab: {} } }, "a model of type WordPiece"],
    [{ model: { type: "BPE", vocab: {}, merges: [], end_of_word_suffix: "</w>" } }, "BPE with end_of_word_suffix"],
    [
      { pre_tokenizer: { type: "Split", pattern: { Regex: "(?<x>a)\\g<x>" }, behavior: "Isolated" } },
      "the regular expression (?<x>a)\\g<x>",
    ],
  ])("%j: this tokenizer needs …", async (changes, expected) => {
    const folder = tokenizerFolder({ "tokenizer.json": { ...readJson("tokenizer.json"), ...changes } });
    expect(await complaint(() => loadTokenizer(folder), folder)).toContain(`this tokenizer needs ${expected}`);
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
    `${folder}/tokenizer.json is not a tokenizer that klamp can read: it has no token for "<|start|>"`,
  );
});
