import { Dict, Range, Tuple, textOf, type Value } from "../python/values.ts";

/** Of a range's items, which are made when it is gone through: about what making the longest costs. */
const MOST_RANGE = 1000;

/** How many steps of work a value is worth at least, by its size: one, its items, or one for 256 of its characters. */
export function workOf(value: Value): number {
  if (typeof value === "bigint") return 1;
  const text = textOf(value);
  if (text !== undefined) return 1 + (text.length >>> 8);
  if (Array.isArray(value)) return 1 + value.length;
  if (value instanceof Tuple) return 1 + value.items.length;
  return value instanceof Dict ? 1 + value.size : value instanceof Range ? MOST_RANGE : 1;
}

/** What taking a text apart into characters is worth, as finding one of them does. */
export function charactersWork(value: Value): number {
  return (textOf(value)?.length ?? 0) >>> 4;
}
