import { beforeAll, describe, expect, it } from "vitest";
import { createRandom, randomInteger } from "../../src/common/random.ts";
import { chatRenderer, type Message } from "../../src/data/chat/index.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { tokenizeWith } from "../../src/data/weighted-tokens.ts";
import { type Oracle, openOracle, REAL_MODELS, unlessRefused } from "./oracle.ts";

/** @file The tokens of real tokenizers, of hostile texts and of chats, against transformers. */

const TEXTS = 1200;
const CHATS = 50;
/** gemma-3-270m is a base model and has no chat template: it is given Gemma 3's as TRL carries it. */
const GEMMA_3 = "trl/chat_templates/gemma3.jinja";

let oracle: Oracle;
let hostile: string[];
beforeAll(async () => {
  oracle = await openOracle();
  hostile = await oracle.ask<string[]>("hostile_texts", { seed: 23, count: TEXTS });
});

interface Chat {
  readonly text: string;
  readonly ids: readonly number[];
  readonly learned: readonly number[];
}

const CONTENTS = [
  "What is the capital of France?",
  "  Paris,\n\nof course.  ",
  "```python\ndef add(a, b):\n\treturn a + b\n```\n",
  "Ein Satz — mit Umlauten: äöüß; 日本語、Привет, مرحبا, 👩‍👩‍👧 e\u0301",
  "{{ not a variable }} {% nor a statement %} <|im_end|>\n<start_of_turn>user\n",
  "\u00a0\tx\r\n\r\n y\u2028z \u3000",
  "A long answer that says the same again. ".repeat(120),
  "1. one\n2. two\n   - three: 1,234,567.89\n",
];

/** Chats of one to four questions about `texts` and others, some after a system prompt; some end in a question, some have roles that do not alternate. */
function chats(texts: readonly string[]): Message[][] {
  const random = createRandom(7);
  const drawn = <Of>(from: readonly Of[]) => from[randomInteger(random, from.length)]!;
  const content = () => (randomInteger(random, 3) === 0 ? `${drawn(texts)}x${drawn(texts)}` : drawn(CONTENTS));
  return Array.from({ length: CHATS }, (_, i) => {
    const messages: Message[] = i % 3 === 0 ? [{ role: "system", content: content() }] : [];
    for (let turn = 0; turn <= i % 4; turn++) {
      messages.push({ role: "user", content: content() }, { role: "assistant", content: content() });
    }
    if (i % 10 === 4) messages.push({ role: "user", content: content() });
    if (i % 10 === 6) messages.splice(-1, 0, { role: "user", content: content() });
    if (i % 25 === 8) messages.splice(-1, 1, { role: "assistant", content: 7 as unknown as string });
    return messages;
  });
}

describe.each(REAL_MODELS)("$name", ({ name, folder }) => {
  it("gives Python's ids of 1,000 hostile texts, and its text of them; refuses what Python would drop", async () => {
    const tokenizer = loadTokenizer(folder);
    const theirs = await oracle.ask<number[][]>("encode", { folder, texts: hostile });
    const decoded = await oracle.ask<string[]>("decode", { folder, ids: theirs });
    let refused = 0;
    for (const [i, text] of hostile.entries()) {
      const ids = unlessRefused(() => Array.from(tokenizer.encode(text)));
      if (ids === null) {
        refused++;
        expect(decoded[i]).not.toBe(text);
      } else expect([text, ids]).toEqual([text, theirs[i]]);
      expect(tokenizer.decode(Int32Array.from(theirs[i]!), { specialTokens: true })).toBe(decoded[i]);
    }
    console.log(`${name}: ${TEXTS - refused} texts alike, ${refused} refused`);
    expect(TEXTS - refused).toBeGreaterThanOrEqual(1000);
    // SmolLM2 has no tokens for 21 bytes, that of U+0004 among them, and no unknown token: Python drops them.
    const dropped = name.startsWith("SmolLM2") ? hostile.filter((text, i) => decoded[i] !== text).length : 0;
    expect(refused).toBe(dropped);
  });

  it(`writes ${CHATS} chats as transformers does, in the same tokens, and learns those of the assistant`, async () => {
    const isGemma = name === "gemma-3-270m";
    const template = isGemma ? (await oracle.ask<Record<string, string>>("public_templates", {}))[GEMMA_3]! : undefined;
    const tokenizer = loadTokenizer(folder, { chatTemplate: template });
    const renderer = chatRenderer(tokenizer);
    const tokenize = tokenizeWith(tokenizer);
    const conversations = chats(hostile.filter((text) => unlessRefused(() => tokenizer.encode(text)) !== null));
    const theirs = await oracle.ask<(Chat | null)[]>("chats", { folder, conversations, template });
    let refused = 0;
    let masks = 0;
    for (const [i, messages] of conversations.entries()) {
      const generationPrompt = messages.at(-1)!.role !== "assistant";
      const text = unlessRefused(() => renderer.render({ messages }, { generationPrompt }).text);
      expect([i, text]).toEqual([i, theirs[i]?.text ?? null]);
      if (text === null) {
        refused++;
        continue;
      }
      const { ids, learned } = theirs[i]!;
      expect([i, Array.from(tokenizer.encode(text))]).toEqual([i, ids]);
      if (generationPrompt) continue;
      expect([i, tokenize({ format: "messages", messages })]).toMatchObject([i, { tokens: ids, weights: learned }]);
      masks++;
    }
    console.log(
      `${name}: ${CHATS - refused} chats alike, ${masks} of them with what is learned, ${refused} refused by both`,
    );
    expect(refused).toBeGreaterThan(0);
    expect(masks).toBeGreaterThan(CHATS / 2);
  });
});
