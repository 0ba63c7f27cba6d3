import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

/** What scripts/fixtures/tokenizers.py made. */
export const FIXTURES = fileURLToPath(new URL("../../fixtures/tokenizers/", import.meta.url));

/** The six kinds of tokenizers. */
export const KINDS = readdirSync(FIXTURES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** What Python's `tokenizers` makes of a text; offsets count UTF-16 units. */
export interface Right {
  readonly text: string;
  readonly ids: readonly number[];
  readonly offsets: readonly (readonly [start: number, end: number])[];
  readonly decoded: string;
}

export const TEXTS = lines<string>("texts.jsonl.gz");

export function rightOf(kind: string): Right[] {
  type Line = [ids: number[], starts: number[], lengths: number[], decoded: string | null];
  return lines<Line>(`${kind}/right.jsonl.gz`).map(([ids, starts, lengths, decoded], i) => {
    const text = TEXTS[i]!;
    const unit = [0];
    for (const character of text) unit.push(unit.at(-1)! + character.length);
    const offsets = starts.map((start, token) => [unit[start]!, unit[start + lengths[token]!]!] as const);
    return { text, ids, offsets, decoded: decoded ?? text };
  });
}

function lines<Line>(name: string): Line[] {
  const text = gunzipSync(readFileSync(join(FIXTURES, name))).toString("utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
}
