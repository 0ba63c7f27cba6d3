import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { TokenizerDefinition } from "../../../src/data/tokenizer/pipeline.ts";

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

/** One part of a kind's tokenizer.json changed. */
export interface Variant {
  readonly name: string;
  readonly kind: string;
  readonly changes: Partial<TokenizerDefinition>;
  readonly right: readonly Right[];
}

type Line = [ids: number[], starts: number[], lengths: number[], decoded: string | null];

const TEXTS = lines<string>("texts.jsonl.gz");
/** Variants are held to every so-many-th text, as in the script. */
const STRIDE = 20;

export function definitionOf(kind: string): TokenizerDefinition {
  return JSON.parse(readFileSync(join(FIXTURES, kind, "tokenizer.json"), "utf8")) as TokenizerDefinition;
}

export function rightOf(kind: string): Right[] {
  return lines<Line>(`${kind}/right.jsonl.gz`).map((line, i) => toRight(line, TEXTS[i]!));
}

export function variants(): Variant[] {
  type Written = [name: string, kind: string, changes: Partial<TokenizerDefinition>, right: Line[]];
  return lines<Written>("variants.jsonl.gz").map(([name, kind, changes, right]) => ({
    name,
    kind,
    changes,
    right: right.map((line, i) => toRight(line, TEXTS[i * STRIDE]!)),
  }));
}

function toRight([ids, starts, lengths, decoded]: Line, text: string): Right {
  const unit = [0];
  for (const character of text) unit.push(unit.at(-1)! + character.length);
  const offsets = starts.map((start, token) => [unit[start]!, unit[start + lengths[token]!]!] as const);
  return { text, ids, offsets, decoded: decoded ?? text };
}

function lines<Of>(name: string): Of[] {
  const text = gunzipSync(readFileSync(join(FIXTURES, name))).toString("utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Of);
}
