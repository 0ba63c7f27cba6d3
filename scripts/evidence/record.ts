import { existsSync, readFileSync } from "node:fs";
import type { Summary } from "../../src/drift/summary.ts";
import type { Setting } from "./settings.ts";

export const RECORD = "docs/evidence.jsonl";

/** One line of the record: a setting, and what was measured after a run under it. */
export interface EvidenceLine extends Setting {
  readonly split: string;
  readonly seconds: number;
  readonly result: Summary["runs"][number];
  readonly base: Summary["base"];
}

export function readRecord(): EvidenceLine[] {
  if (!existsSync(RECORD)) return [];
  const lines = readFileSync(RECORD, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as EvidenceLine);
}

/** What makes two runs the same. */
export function identity({ regularizer, seed, learning_rate, alpha, steps }: Setting, split: string): string {
  return JSON.stringify([split, regularizer, seed, learning_rate, alpha, steps]);
}
