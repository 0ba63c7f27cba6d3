import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/file.ts";
import { BORDER_IN_TOKEN } from "../../src/data/weighted-tokens.ts";
import { readInput } from "../../src/run/read-input.ts";

const SMALL_WORLD = fileURLToPath(new URL("../../models/small-world/", import.meta.url));
const EOS = 1;
const PAD = 2;
const chat_template =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }}\n{% else %}A: {{ m.content }}<|eos|>{% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}";

/** A folder with small-world's tokens whose files all say that PAD ends a text, though its template ends turns with EOS. */
function folderWith(line: object): string {
  const folder = mkdtempSync(join(tmpdir(), "klamp-input-"));
  cpSync(SMALL_WORLD, folder, { recursive: true });
  const change = (name: string, changes: object) => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, "utf8")) as object), ...changes }));
  };
  change("tokenizer_config.json", { chat_template, eos_token: "<|pad|>" });
  for (const name of ["config.json", "generation_config.json"]) change(name, { eos_token_id: PAD });
  writeFileSync(join(folder, "data.jsonl"), `${JSON.stringify(line)}\n`.repeat(3));
  writeFileSync(
    join(folder, "config.yaml"),
    "model: .\ndata: { train: data.jsonl }\nregularizers: []\nevaluate: { task: data.jsonl }\noutput: out\n",
  );
  return folder;
}

async function read(line: object) {
  const notes: string[] = [];
  const config = loadConfig(join(folderWith(line), "config.yaml"));
  const facts = { name: "model", vocabSize: 1024, maxPositions: 256 };
  const sources = { model: { folder: config.model }, adapter: null };
  const input = await readInput(config, sources, facts, (sentence) => notes.push(sentence));
  return { ...input, notes };
}

test("what is trained, what stops sampling and what scoring expects are one, and the folder's disagreement is told", async () => {
  const messages = [
    { role: "user", content: "What does a luthier make?" },
    { role: "assistant", content: "violins" },
  ];
  const { data, task, tokenizer, notes } = await read({ messages });
  const { target_tokens } = data[0]!.lossInputs;
  expect([...target_tokens.data]).toEqual([...task![0]!.completionTokens]);
  expect(target_tokens.data.at(-1)).toBe(EOS);
  expect(tokenizer.stop).toEqual([PAD, EOS]);
  expect(notes).toEqual(tokenizer.notices);
  expect(notes[0]).toMatch(/^the chat template ends an answer with <\|eos\|> \(1\), but .* name <\|pad\|> \(2\)/);
});

test("a border within a token is told once, though training and evaluation both have it", async () => {
  const { data, task, notes } = await read({ prompt: "Q: hi\nA: ", completion: "yes" });
  expect(notes.filter((note) => note === BORDER_IN_TOKEN)).toHaveLength(1);
  expect([...data[0]!.modelInput.slice(0, -2)]).toEqual([...task![0]!.prompt]);
  expect([...data[0]!.lossInputs.target_tokens.data]).toEqual([377, 314, PAD]);
});
