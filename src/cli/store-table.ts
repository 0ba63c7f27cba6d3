import { greatest } from "../common/extremes.ts";
import { ENTROPY_STEP, type Inspection } from "../run/index.ts";

/** @file What an inspection of a reference store found, for a terminal. */

const WIDTH = 40;

export function formatInspection(folder: string, found: Inspection): string {
  const { identity, texts, rows, shards, bytes, recordBytes, entropy, faults } = found;
  const { kind, k, hidden_size, vocabulary, model, adapter, tokenizer, temperature } = identity;
  const perRow = recordBytes / rows;
  const holds = kind === "top-k" ? `top-k, k ${k} and the rest` : `hidden states of ${hidden_size} numbers`;
  const perEntry = k === null ? "" : `, ${(perRow / k).toFixed(2)} a kept entry`;
  const each = rows === 0 ? "" : `; ${perRow.toFixed(1)} bytes a row${perEntry}`;
  const facts: [string, string][] = [
    ["store", folder],
    ["holds", `${holds}, of a vocabulary of ${count(vocabulary)}; temperature ${temperature}`],
    ["model", model],
    ["adapter", adapter === "none" ? "none: the model alone" : adapter],
    ["tokenizer", tokenizer],
    ["texts", `${count(texts)}, ${count(rows)} rows`],
    ["size", `${formatBytes(bytes)} in ${shards} shard${shards === 1 ? "" : "s"}${each}`],
    ...(rows === 0 ? [] : measured(found)),
    ["checksums", faults.length === 0 ? "all right" : damaged(faults.length)],
  ];
  const lines = facts.map(([name, value]) => `${name.padEnd(10)} ${value}`);
  return `${[...lines, "", ...histogram(entropy.histogram)].join("\n")}\n`;
}

/** What only a store with rows has. */
function measured({ coverage, entropy }: Inspection): [string, string][] {
  return [
    ["coverage", `mean ${percent(coverage.mean)}, least ${percent(coverage.least)} of a row's probability`],
    ["entropy", `mean ${entropy.mean.toFixed(3)} nats`],
  ];
}

function damaged(records: number): string {
  return records === 1 ? "1 record is damaged" : `${count(records)} records are damaged`;
}

function histogram(counts: readonly number[]): string[] {
  const most = Math.max(greatest(counts), 1);
  const bars = counts.map((rows, i) => {
    const range = `${(i * ENTROPY_STEP).toFixed(1)}–${((i + 1) * ENTROPY_STEP).toFixed(1)}`;
    return `${range.padStart(9)}  ${"█".repeat(Math.ceil((WIDTH * rows) / most)).padEnd(WIDTH)}  ${count(rows)}`;
  });
  return bars.length === 0 ? [] : ["rows by the entropy of the reference, in nats", ...bars];
}

/** `271 B`, `1.5 kB`, `2.3 GB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const unit = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${unit === 0 ? bytes : (bytes / 1000 ** unit).toPrecision(3)} ${units[unit]}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

function count(n: number): string {
  return n.toLocaleString("en-US");
}
