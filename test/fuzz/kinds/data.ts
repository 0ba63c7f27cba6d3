import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { loadDataset } from "../../../src/data/dataset.ts";
import { loadQuestions } from "../../../src/data/questions.ts";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import type { FuzzKind } from "../kind.ts";
import { mutateBytes, mutateJson, mutateText } from "../mutate.ts";
import type { Choices } from "../random.ts";
import { SMALL_WORLD } from "./sound.ts";

const LINES: readonly unknown[] = [
  { prompt: "two and two", completion: " four" },
  { text: "a line of text", weight: 0.5 },
  { tokens: [0, 5, 6, 1], weights: [0, 1, 1, 0.5] },
  { instruction: "say it", input: "now", output: "it" },
  {
    conversations: [
      { from: "human", value: "hi" },
      { from: "gpt", value: "ho" },
    ],
  },
  { prompt: [{ role: "user", content: "hi" }], completion: [{ role: "assistant", content: "ho" }] },
  {
    messages: [
      { role: "system", content: "be brief" },
      { role: "user", content: [{ type: "text", text: "what?" }] },
      { role: "assistant", content: "that", weight: 1 },
    ],
    tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
    chat_template_kwargs: { thinking: false },
  },
];
const SAMPLES = fileURLToPath(new URL("../../fixtures/data-files/", import.meta.url));

/** A file of lines in one of the forms that are read, and its ending. */
function file(
  choices: Choices,
  samples: ReadonlyMap<string, Buffer>,
): [extension: string, content: string | Uint8Array] {
  if (choices.chance(0.15)) {
    const [name, bytes] = choices.of([...samples]);
    return [extname(name) === ".gz" ? ".jsonl.gz" : extname(name), mutateBytes(bytes, choices)];
  }
  const kind = choices.of(LINES);
  const lines = Array.from({ length: 1 + choices.below(4) }, () =>
    choices.chance(0.7) ? mutateJson(kind, choices) : JSON.stringify(kind),
  );
  const text = choices.chance(0.2) ? `[${lines.join(",\n")}]` : `${lines.join("\n")}\n`;
  const changed = choices.chance(0.15) ? mutateText(text, choices) : text;
  return choices.chance(0.05) ? [".jsonl.gz", gzipSync(changed)] : [".jsonl", changed];
}

function kind(name: string, share: number, read: (path: string, choices: Choices) => Promise<unknown>): FuzzKind {
  return {
    name,
    share,
    open: async (folder) => {
      const samples = new Map(readdirSync(SAMPLES).map((name) => [name, readFileSync(join(SAMPLES, name))]));
      return async (choices) => {
        const [extension, content] = file(choices, samples);
        const path = join(folder, `lines${extension}`);
        writeFileSync(path, content);
        await read(path, choices);
      };
    },
  };
}

const tokenizer = loadTokenizer(SMALL_WORLD);

/** Files of data. */
export const data = kind("data", 20, (path, choices) =>
  loadDataset(path, tokenizer, {
    maxLength: choices.of([8, 256, 2 ** 31]),
    vocabSize: 1024,
    tooLong: choices.of(["error", "truncate", "drop"]),
    fields: choices.chance(0.1) ? ["reference"] : [],
  }),
);

/** Files of questions. */
export const questions = kind("questions", 8, (path) => loadQuestions(path, tokenizer));
