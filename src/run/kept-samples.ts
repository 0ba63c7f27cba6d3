import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Tokenizer } from "../data/tokenizer.ts";
import { type Drawn, samplesAsLines } from "./build-anchors.ts";
import type { RunFolder } from "./run-folder.ts";

const FILE = "anchors.jsonl";

/** Keeps the samples that anchors draw in `anchors.jsonl` of a run folder; those drawn again take their own place. */
export function keepSamples(folder: RunFolder, tokenizer: Tokenizer): { add(drawn: Drawn): void } {
  const path = join(folder.path, FILE);
  const kept = new Map<string, string>();
  for (const line of existsSync(path) ? readFileSync(path, "utf8").split("\n") : []) {
    if (line === "") continue;
    const { regularizer, step } = JSON.parse(line) as Drawn;
    const key = keyOf(regularizer, step);
    kept.set(key, `${kept.get(key) ?? ""}${line}\n`);
  }
  const drawnNow = new Set<string>();
  return {
    add: (drawn) => {
      const key = keyOf(drawn.regularizer, drawn.step);
      // A regularizer may draw several anchors for one step.
      const before = drawnNow.has(key) ? kept.get(key)! : "";
      drawnNow.add(key);
      kept.set(key, before + samplesAsLines(drawn, tokenizer));
      folder.write(FILE, [...kept.values()].join(""));
    },
  };
}

function keyOf(regularizer: string, step: number): string {
  return JSON.stringify([regularizer, step]);
}
