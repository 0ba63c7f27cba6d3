import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadQuestions } from "../../src/data/questions.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { BORDER_IN_TOKEN, tokenizeWith } from "../../src/data/weighted-tokens.ts";
import { complaint, MODEL, readJson, templateProcessing, temporaryFolder, tokenizerFolder } from "./folders.ts";
import { FIXTURES } from "./tokenizer/fixtures.ts";

const folder = temporaryFolder();
const path = join(folder, "test.jsonl");
const fixture = loadTokenizer(MODEL);
const chat_template =
  "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
const chatting = loadTokenizer(
  tokenizerFolder({ "tokenizer_config.json": { ...readJson("tokenizer_config.json"), chat_template } }),
);

function load(line: unknown, tokenizer = fixture) {
  writeFileSync(path, JSON.stringify(line));
  return loadQuestions(path, tokenizer);
}

test("a prompt and its completion, with the token that ends it", async () => {
  expect(await load({ skill: "capitals", prompt: "to be", completion: " or not" })).toEqual([
    {
      prompt: fixture.encode("to be"),
      completion: " or not",
      completionTokens: Int32Array.of(...fixture.encode(" or not"), 1),
      source: "test.jsonl:1",
    },
  ]);
});

test("the prompt begins as in training", async () => {
  const json = readJson("tokenizer.json");
  const tokenizer = loadTokenizer(
    tokenizerFolder({ "tokenizer.json": { ...json, post_processor: templateProcessing(true) } }),
  );
  const [row] = await load({ prompt: "to be", completion: " or" }, tokenizer);
  expect([...row!.prompt]).toEqual([0, ...tokenizer.encode("to be")]);
  expect([...row!.completionTokens]).toEqual([...tokenizer.encode(" or"), 1]);
});

describe("where the tokens of the whole have one that holds characters of prompt and answer", () => {
  const tokenizer = loadTokenizer(join(FIXTURES, "llama-2"));
  const [open, close] = [1, 2];
  const asked = async (prompt: string, completion: string) => {
    const notices: string[] = [];
    writeFileSync(path, JSON.stringify({ prompt, completion }));
    const [row] = await loadQuestions(path, tokenizer, (sentence) => notices.push(sentence));
    return { prompt: [...row!.prompt], answer: [...row!.completionTokens], notices };
  };
  const trained = (prompt: string, completion: string) =>
    tokenizeWith(tokenizer)({ format: "prompt", prompt, completion });

  test("a prompt that ends in a space is asked without it, as training has it", async () => {
    const [with_, without] = [await asked("to: ", "remi"), await asked("to:", " remi")];
    expect(with_.prompt).toEqual(without.prompt);
    expect(with_.answer).toEqual(without.answer);
    expect(with_.notices).toEqual([BORDER_IN_TOKEN]);
    expect(without.notices).toEqual([]);
    const { tokens, weights } = trained("to: ", "remi");
    expect([...with_.prompt, ...with_.answer]).toEqual(tokens);
    expect(weights.indexOf(1)).toBe(with_.prompt.length);
  });

  test("a prompt that ends within a word is given whole", async () => {
    const { prompt, answer, notices } = await asked("to be st", "aru");
    expect(prompt).toEqual([open, ...tokenizer.encode("to be st")]);
    expect(answer).toEqual([...tokenizer.encode("aru"), close]);
    expect(notices).toEqual([BORDER_IN_TOKEN]);
    const { tokens, weights } = trained("to be st", "aru");
    expect(tokenizer.decode([tokens[weights.indexOf(1)]!])).toBe("star");
  });

  test("BOS that the prompt writes is not doubled", async () => {
    expect((await asked("<s>to:", " remi")).prompt.filter((id) => id === open)).toHaveLength(1);
  });
});

test("of messages the last answer is scored, without what the template writes after it", async () => {
  const messages = [
    { role: "user", content: "a" },
    { role: "assistant", content: "b" },
    { role: "user", content: "c" },
    { role: "assistant", content: "d e" },
  ];
  const [row] = await load({ messages }, chatting);
  expect(chatting.decode(row!.prompt, { specialTokens: true })).toBe(
    "user: a<|eos|>\nassistant: b<|eos|>\nuser: c<|eos|>\nassistant: ",
  );
  expect(row!.completion).toBe("d e");
  expect([...row!.completionTokens]).toEqual([...chatting.encode("d e"), 1]);
});

test.each<[unknown, string]>([
  [
    { text: "to be" },
    'test.jsonl:1: an evaluation asks a question: give {"prompt", "completion"}, or {"messages"} that end with an assistant turn',
  ],
  [
    { messages: [{ role: "user", content: "a" }] },
    "test.jsonl:1: the last message is of role `user`, expected `assistant`: its answer is what is scored",
  ],
  [{ prompt: "", completion: "a" }, "test.jsonl:1: the prompt has no tokens, and the model needs one to go on from"],
  [{ prompt: "a" }, "test.jsonl:1: `completion` is missing: a line of prompt and completion needs both"],
])("%j is refused", async (line, expected) => {
  expect(await complaint(() => load(line), folder)).toBe(expected);
});

test("all forms of data ask the same, and bad lines are told together", async () => {
  const user = { role: "user", content: "a" };
  const assistant = { role: "assistant", content: "b" };
  const [[expected], ...others] = await Promise.all([
    load({ messages: [user, assistant] }, chatting),
    load({ prompt: [user], completion: [assistant] }, chatting),
    load({ instruction: "a", output: "b" }, chatting),
  ]);
  for (const [row] of others) expect(row).toEqual(expected);
});

test("a weight is refused: each question counts once", async () => {
  expect(await complaint(() => load({ prompt: "a", completion: "b", weight: 2 }), folder)).toBe(
    "test.jsonl:1: `weight` is given, and an evaluation counts each line once: take it out",
  );
  expect(await load({ prompt: "a", completion: "b", weight: 1 })).toHaveLength(1);
});
