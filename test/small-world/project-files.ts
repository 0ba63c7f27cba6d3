import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";

const root = new URL("../../", import.meta.url);
export const readText = (path: string): string => readFileSync(new URL(path, root), "utf8");
export const readJson = (path: string): Record<string, unknown> => JSON.parse(readText(path));

export const loadTokenizer = (): Tokenizer =>
  new Tokenizer(readJson("models/small-world/tokenizer.json"), readJson("models/small-world/tokenizer_config.json"));
