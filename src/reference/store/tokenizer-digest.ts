import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** `sha256:…` of a model folder's tokenizer.json. */
export function tokenizerDigest(folder: string): string {
  const bytes = readFileSync(join(folder, "tokenizer.json"));
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
