import { greatest, least } from "../../common/extremes.ts";
import { encodeDatum, type ForwardBackwardOutput, type WireDatum } from "./wire/forward-backward.ts";

/** What Tinker's servers take in one request. */
const MOST_BYTES = 5_000_000;
const MOST_DATUMS = 1024;

/** Cuts a batch into requests, in order: a new one begins where a datum would no longer fit. */
export function chunked(data: readonly WireDatum[], mostBytes = MOST_BYTES, mostDatums = MOST_DATUMS): WireDatum[][] {
  const chunks: WireDatum[][] = [];
  let room = 0;
  for (const datum of data) {
    const size = encodeDatum(datum).length;
    const last = chunks.at(-1);
    if (last && size <= room && last.length < mostDatums) {
      last.push(datum);
      room -= size;
    } else {
      chunks.push([datum]);
      room = mostBytes - size;
    }
  }
  return chunks;
}

/**
 * Joins the answers of one batch's requests. A metric is named `name:reduction`: `sum`, `min` and `max` mean that, any
 * other is a mean over datums.
 */
export function joined(parts: readonly ForwardBackwardOutput[]): ForwardBackwardOutput {
  const metrics: Record<string, number> = {};
  for (const key of new Set(parts.flatMap((part) => Object.keys(part.metrics)))) {
    const having = parts.filter((part) => key in part.metrics);
    const values = having.map((part) => part.metrics[key]!);
    const reduction = key.slice(key.lastIndexOf(":") + 1);
    if (reduction === "max") metrics[key] = greatest(values);
    else if (reduction === "min") metrics[key] = least(values);
    else if (reduction === "sum") metrics[key] = sum(values);
    else {
      const counts = having.map((part) => part.outputs.length);
      metrics[key] = sum(values.map((value, i) => value * counts[i]!)) / sum(counts);
    }
  }
  return { outputs: parts.flatMap((part) => part.outputs), metrics };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
