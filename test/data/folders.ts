import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "../../src/common/errors.ts";

/** The model folder of the fixture: its tokenizer puts nothing around a text; BOS is 0, EOS is 1. */
export const MODEL = fileURLToPath(new URL("../fixtures/llama/model/", import.meta.url));

export type Json = Record<string, unknown>;

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "klamp-data-"));
}

export function readJson(name: string): Json {
  return JSON.parse(readFileSync(join(MODEL, name), "utf8")) as Json;
}

/** A copy of the fixture's tokenizer with some of its files changed; null leaves a file out. */
export function tokenizerFolder(changes: Record<string, Json | string | null>): string {
  const folder = temporaryFolder();
  for (const name of ["tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json"]) {
    if (!(name in changes)) writeFileSync(join(folder, name), readFileSync(join(MODEL, name)));
  }
  for (const [name, content] of Object.entries(changes)) {
    if (content !== null)
      writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

/** A post-processor that begins every text with BOS, as Llama's does; `closing` also ends it with EOS. */
export function templateProcessing(closing = false): Json {
  const special = (id: string, token: number) => ({ id, ids: [token], tokens: [id] });
  return {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "<|bos|>", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      ...(closing ? [{ SpecialToken: { id: "<|eos|>", type_id: 0 } }] : []),
    ],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<|bos|>": special("<|bos|>", 0), "<|eos|>": special("<|eos|>", 1) },
  };
}

/** The message of the UserError that `work` ends in, with `folder` left out. */
export async function complaint(work: () => unknown, folder = ""): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof UserError) return error.message.replaceAll(folder === "" ? "\0" : `${folder}/`, "");
    throw error;
  }
  throw new Error("it was accepted");
}
