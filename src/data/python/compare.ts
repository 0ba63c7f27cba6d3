import { iterable } from "./sequence.ts";
import { compareText } from "./text.ts";
import { Dict, PythonError, Range, Tuple, textOf, typeName, Undefined, type Value, View } from "./values.ts";

/** `==`: numbers of all kinds by value, lists, tuples and dicts by what is in them. */
export function equal(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (typeof a === "string") return textOf(b) === a;
  const [left, right] = [numberOf(a), numberOf(b)];
  // A bigint and a number are never ===, and <= compares them exactly.
  if (left !== undefined && right !== undefined) return left <= right && left >= right;
  const text = textOf(a);
  if (text !== undefined) return text === textOf(b);
  if (Array.isArray(a)) return Array.isArray(b) && sameItems(a, b);
  if (a instanceof Tuple) return b instanceof Tuple && sameItems(a.items, b.items);
  if (a instanceof Range) return b instanceof Range && sameItems(a.items, b.items);
  if (a instanceof View) return b instanceof View && a.kind !== "dict_values" && sameItems(a.items, b.items);
  if (a instanceof Undefined) return b instanceof Undefined;
  if (!(a instanceof Dict && b instanceof Dict) || a.size !== b.size) return false;
  return a.entries().every(([key, value]) => {
    const other = b.get(key);
    return other !== undefined && equal(value, other);
  });
}

function sameItems(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, i) => equal(item, b[i]!));
}

/** A bool, int or float as a number that can be compared; a mixed pair of bigint and number compares exactly. */
export function numberOf(value: Value): bigint | number | undefined {
  if (typeof value === "boolean") return value ? 1n : 0n;
  return typeof value === "bigint" || typeof value === "number" ? value : undefined;
}

/** Less than 0, 0 or more: how two values are ordered; NaN for a float that is none. */
export function order(a: Value, b: Value, operator = "<"): number {
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== undefined && right !== undefined)
    return left < right ? -1 : left > right ? 1 : left >= right ? 0 : Number.NaN;
  const [text, other] = [textOf(a), textOf(b)];
  if (text !== undefined && other !== undefined) return compareText(text, other);
  if (Array.isArray(a) && Array.isArray(b)) return orderItems(a, b, operator);
  if (a instanceof Tuple && b instanceof Tuple) return orderItems(a.items, b.items, operator);
  for (const value of [a, b]) if (value instanceof Undefined) value.fail();
  throw new PythonError(`'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

function orderItems(a: readonly Value[], b: readonly Value[], operator: string): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (!equal(a[i]!, b[i]!)) return order(a[i]!, b[i]!, operator);
  }
  return a.length - b.length;
}

/** `item in container`. */
export function contains(container: Value, item: Value): boolean {
  const text = textOf(container);
  if (text !== undefined) {
    const part = textOf(item);
    if (part !== undefined) return text.includes(part);
    throw new PythonError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
  }
  if (container instanceof Dict) return container.has(item);
  const items = iterable(container);
  if (items === undefined) throw new PythonError(`argument of type '${typeName(container)}' is not iterable`);
  for (const candidate of items) if (equal(candidate, item)) return true;
  return false;
}
