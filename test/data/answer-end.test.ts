import { describe, expect, test } from "vitest";
import { type AnswerEnd, answerEnd, type TemplateEnd, templateEnd } from "../../src/data/answer-end.ts";
import { contentText } from "../../src/data/chat/index.ts";

const NAMES = ["<bos>", "<eos>", "<pad>", "<end>", "<other>"];
const BOS = 0;
const [EOS, PAD, END, OTHER] = [1, 2, 3, 4];
const UNKNOWN: TemplateEnd = { kind: "unknown" };

function end(named: Record<string, number[]>, template: TemplateEnd = UNKNOWN): AnswerEnd {
  return answerEnd({ named: new Map(Object.entries(named)), template, textOf: (id) => NAMES[id]! });
}

describe("where an answer ends", () => {
  test("is told by every source, and what the first names ends a text", () => {
    const sources = { "tokenizer_config.json": [EOS], "config.json": [EOS], "generation_config.json": [EOS, PAD] };
    expect(end(sources, { kind: "token", id: PAD })).toEqual({ eos: EOS, stop: [EOS, PAD], notices: [] });
    expect(end({ "tokenizer_config.json": [], "config.json": [PAD] })).toEqual({ eos: PAD, stop: [PAD], notices: [] });
    expect(end({})).toEqual({ eos: null, stop: [], notices: [] });
  });

  test("a template that ends a turn with another token than any file names is told of", () => {
    const { eos, stop, notices } = end(
      { "tokenizer_config.json": [PAD], "config.json": [PAD] },
      { kind: "token", id: EOS },
    );
    expect({ eos, stop }).toEqual({ eos: PAD, stop: [PAD, EOS] });
    expect(notices).toEqual([
      "the chat template ends an answer with <eos> (1), but tokenizer_config.json, config.json name <pad> (2): in chats klamp trains <eos> (1), and an answer ends at any of <pad> (2), <eos> (1); a server that follows these files would not stop there, so add 1 to eos_token_id in generation_config.json",
    ]);
    expect(end({}, { kind: "token", id: END })).toMatchObject({ eos: null, stop: [END] });
    expect(end({}, { kind: "token", id: END }).notices[0]).toMatch(
      /but no file names an EOS: in chats klamp trains <end>/,
    );
  });

  test("files that disagree are told of", () => {
    const { eos, stop, notices } = end({
      "tokenizer_config.json": [EOS],
      "config.json": [PAD],
      "generation_config.json": [END, OTHER],
    });
    expect({ eos, stop }).toEqual({ eos: EOS, stop: [EOS, PAD, END, OTHER] });
    expect(notices).toEqual([
      "tokenizer_config.json ends a text with <eos> (1), but config.json names <pad> (2) and generation_config.json names <end> (3), <other> (4): klamp ends texts with <eos> (1), and an answer ends at any of <eos> (1), <pad> (2), <end> (3), <other> (4)",
    ]);
  });

  test("a template that ends a turn with no token is told of", () => {
    expect(end({ "config.json": [EOS] }, { kind: "nothing" }).notices).toEqual([
      "the chat template writes no token that ends an answer: klamp ends the last answer of a conversation with <eos> (1), and stops there",
    ]);
    expect(end({}, { kind: "nothing" }).notices).toEqual([
      "the chat template writes no token that ends an answer, and no file names an EOS: answers end only at the limit of tokens",
    ]);
  });
});

describe("what a template ends an answer with", () => {
  const tokenize = (text: string) => [...text.matchAll(/<\w+>|./gs)].map(([token]) => NAMES.indexOf(token));
  const found = (write: (answer: string) => string) =>
    templateEnd(
      () => ({ render: ({ messages }) => ({ text: write(contentText(messages.at(-1)!)), marks: [], turns: [] }) }),
      tokenize,
      (id) => id !== -1,
    );

  test.each<[string, (answer: string) => string, TemplateEnd]>([
    ["right after it", (answer) => `<bos>${answer}<end>\n`, { kind: "token", id: END }],
    ["after a space", (answer) => `<bos>[/INST] ${answer} <eos>`, { kind: "token", id: EOS }],
    ["after words of its own", (answer) => `${answer}\n### End <pad><eos>`, { kind: "token", id: PAD }],
    ["none", (answer) => `<bos>A: ${answer}\n`, { kind: "nothing" }],
    ["in capitals", (answer) => `${answer.toUpperCase()}<end>`, { kind: "token", id: END }],
    ["an answer that it does not write", () => "<bos><eos>", UNKNOWN],
  ])("%s", (_, write, expected) => {
    expect(found(write)).toEqual(expected);
  });

  test("is unknown of a template that takes no plain chat, and where there is none", () => {
    const refusing = () => {
      throw new Error("a system turn must come first");
    };
    expect(templateEnd(refusing, tokenize, () => true)).toEqual(UNKNOWN);
    expect(
      templateEnd(
        () => ({ render: refusing }),
        tokenize,
        () => true,
      ),
    ).toEqual(UNKNOWN);
    expect(templateEnd(null, tokenize, () => true)).toEqual(UNKNOWN);
  });

  test("is not what stands before the answer", () => {
    expect(tokenize("<bos>")).toEqual([BOS]);
    expect(found((answer) => `<bos>${answer}`)).toEqual({ kind: "nothing" });
  });
});
