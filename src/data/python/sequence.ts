import { characters, codePointLength } from "./text.ts";
import {
  Attributes,
  Dict,
  Iterator,
  PythonError,
  Range,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

/** What iterating over a value gives, as `iter` has it; a dict gives its keys, a text its characters. */
export function iterate(value: Value): Iterable<Value> {
  return iterable(value) ?? notIterable(value);
}

/** The same, or undefined where Python would raise. */
export function iterable(value: Value): Iterable<Value> | undefined {
  if (Array.isArray(value) || value instanceof Iterator) return value;
  if (value instanceof Tuple || value instanceof View || value instanceof Range) return value.items;
  if (value instanceof Dict) return value.keys();
  if (value instanceof Undefined) return [];
  const text = textOf(value);
  return text === undefined ? undefined : characters(text);
}

export function toList(value: Value): Value[] {
  return [...iterate(value)];
}

function notIterable(value: Value): never {
  throw new PythonError(`'${typeName(value)}' object is not iterable`);
}

/** `len`. */
export function lengthOf(value: Value): number {
  if (Array.isArray(value)) return value.length;
  if (value instanceof Tuple || value instanceof View || value instanceof Range) return value.items.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof Undefined) return 0;
  const text = textOf(value);
  if (text !== undefined) return codePointLength(text);
  if (value instanceof Attributes && value.kind === "LoopContext") return Number(value.get("length"));
  throw new PythonError(`object of type '${typeName(value)}' has no len()`);
}

/** `bool`. */
export function isTrue(value: Value): boolean {
  if (value === null || value === false || value === 0 || value === 0n || value === "") return false;
  if (typeof value !== "object") return true;
  if (value instanceof Iterator) return true;
  if (value instanceof Attributes) return true;
  return iterable(value) === undefined || lengthOf(value) > 0;
}

/** The positions that a slice picks of a sequence of `length`. */
export function* slicePositions(length: number, start: Value, stop: Value, step: Value): Generator<number> {
  const by = indexOf(step) ?? 1;
  if (by === 0) throw new PythonError("slice step cannot be zero");
  const clamp = (value: Value, otherwise: number) => {
    const at = indexOf(value);
    if (at === undefined) return otherwise;
    const [low, high] = by > 0 ? [0, length] : [-1, length - 1];
    return Math.min(high, Math.max(low, at < 0 ? at + length : at));
  };
  const from = clamp(start, by > 0 ? 0 : length - 1);
  const to = clamp(stop, by > 0 ? length : -1);
  for (let i = from; by > 0 ? i < to : i > to; i += by) yield i;
}

function indexOf(value: Value): number | undefined {
  if (value === null) return undefined;
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "boolean") return Number(value);
  throw new PythonError("slice indices must be integers or None or have an __index__ method");
}
