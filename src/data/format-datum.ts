import type { Datum } from "./datum.ts";

/** How messages name a datum: `datum 3 (train.jsonl:4)`; `index` counts within the data at hand, from 0. */
export function formatDatum({ source }: Datum, index: number): string {
  return source === undefined ? `datum ${index}` : `datum ${index} (${source})`;
}
