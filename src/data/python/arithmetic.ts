import { numberOf } from "./compare.ts";
import { escapeHtml } from "./escape.ts";
import { percentFormat } from "./percent-format.ts";
import { checkItems, checkText, repeatText } from "./size.ts";
import { Markup, PythonError, Tuple, textOf, typeName, Undefined, type Value } from "./values.ts";

export type Operator = "+" | "-" | "*" | "/" | "//" | "%" | "**";

/** The most digits that a result may have: what is larger was not meant, and would hang. */
const MOST_BITS = 100_000n;
const GREATEST = 1n << MOST_BITS;

/** A binary operator of Python on two values. */
export function calculate(operator: Operator, a: Value, b: Value): Value {
  if (operator === "+" && typeof a === "string" && typeof b === "string")
    return checkText(a.length + b.length) && a + b;
  const [left, right] = [numberOf(a), numberOf(b)];
  if (left !== undefined && right !== undefined) return onNumbers(operator, left, right);
  const text = textOf(a);
  if (operator === "%" && text !== undefined) {
    const formatted = percentFormat(text, b);
    return a instanceof Markup ? new Markup(formatted) : formatted;
  }
  for (const value of [a, b]) if (value instanceof Undefined) value.fail();
  const joined = operator === "+" ? join(a, b) : operator === "*" ? (repeat(a, b) ?? repeat(b, a)) : undefined;
  if (joined !== undefined) return joined;
  throw new PythonError(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`);
}

/** `-value` or `+value`. */
export function signed(sign: "-" | "+", value: Value): Value {
  const number = numberOf(value);
  if (number !== undefined) return sign === "-" ? -number : number;
  if (value instanceof Undefined) value.fail();
  throw new PythonError(`bad operand type for unary ${sign}: '${typeName(value)}'`);
}

function onNumbers(operator: Operator, a: bigint | number, b: bigint | number): Value {
  if (typeof a === "bigint" && typeof b === "bigint" && operator !== "/" && !(operator === "**" && b < 0n)) {
    return onInts(operator, a, b);
  }
  return onFloats(operator, Number(a), Number(b));
}

function onInts(operator: Exclude<Operator, "/">, a: bigint, b: bigint): bigint {
  if (operator === "+") return bounded(a + b);
  if (operator === "-") return bounded(a - b);
  if (operator === "*") return bounded(a * b);
  if (operator === "**") {
    if (a * a > 1n && BigInt(a.toString(2).length) * b > MOST_BITS)
      throw new PythonError(`${a} ** ${b} is too large a number`);
    return a ** b;
  }
  if (b === 0n) throw new PythonError("integer division or modulo by zero");
  const rest = a % b;
  const crosses = rest !== 0n && rest < 0n !== b < 0n;
  if (operator === "%") return crosses ? rest + b : rest;
  return crosses ? a / b - 1n : a / b;
}

function bounded(result: bigint): bigint {
  if (-GREATEST < result && result < GREATEST) return result;
  throw new PythonError(`an int of more than ${MOST_BITS} bits is too large a number`);
}

function onFloats(operator: Operator, a: number, b: number): number {
  if (operator === "+") return a + b;
  if (operator === "-") return a - b;
  if (operator === "*") return a * b;
  if (operator === "**") {
    if (a === 0 && b < 0) throw new PythonError("0.0 cannot be raised to a negative power");
    if (a < 0 && !Number.isInteger(b)) throw new PythonError("a negative number to a fraction is complex");
    return a ** b;
  }
  if (b === 0) throw new PythonError("float division by zero");
  if (operator === "/") return a / b;
  let rest = a % b;
  if (rest !== 0 && rest < 0 !== b < 0) rest += b;
  if (operator === "%") return rest === 0 ? (b < 0 ? -0 : 0) : rest;
  const quotient = (a - rest) / b;
  if (quotient === 0) return a / b < 0 || Object.is(a / b, -0) ? -0 : 0;
  const floor = Math.floor(quotient);
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

function join(a: Value, b: Value): Value | undefined {
  const [left, right] = [textOf(a), textOf(b)];
  if (left !== undefined && right !== undefined) {
    const safe = (value: Value, text: string) => (value instanceof Markup ? text : escapeHtml(text));
    if (a instanceof Markup || b instanceof Markup) return new Markup(safe(a, left) + safe(b, right));
    return checkText(left.length + right.length) && left + right;
  }
  if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  if (a instanceof Tuple && b instanceof Tuple) return new Tuple([...a.items, ...b.items]);
  if (left !== undefined) throw new PythonError(`can only concatenate str (not "${typeName(b)}") to str`);
  return undefined;
}

function repeat(a: Value, times: Value): Value | undefined {
  const count = numberOf(times);
  if (typeof count !== "bigint") return undefined;
  const n = Math.max(0, Number(count));
  const text = textOf(a);
  if (text !== undefined) {
    const repeated = repeatText(text, n);
    return a instanceof Markup ? new Markup(repeated) : repeated;
  }
  const items = Array.isArray(a) ? a : a instanceof Tuple ? a.items : undefined;
  if (items === undefined) return undefined;
  checkItems(items.length * n);
  const repeated = items.length === 0 ? [] : Array.from({ length: n }, () => items).flat(1);
  return Array.isArray(a) ? repeated : new Tuple(repeated);
}
