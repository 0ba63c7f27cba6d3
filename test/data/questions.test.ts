import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadQuestions } from "../../src/data/questions.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { complaint, MODEL, readJson, templateProcessing, temporaryFolder, tokenizerFolder } from "./folders.ts";

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
