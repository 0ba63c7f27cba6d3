import { floatText } from "./float.ts";
import { checkText } from "./size.ts";
import {
  Attributes,
  Callable,
  Dict,
  Iterator,
  Markup,
  PythonError,
  Range,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

/** What Python's `str` makes of a value, which is what a template prints. */
export function str(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof Undefined) return "";
  return textOf(value) ?? repr(value);
}

/** What Python's `repr` makes of a value. */
export function repr(value: Value): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "bigint") return intText(value);
  if (typeof value === "number") return floatText(value);
  if (typeof value === "string") return reprText(value);
  if (Array.isArray(value)) return `[${reprs(value)}]`;
  if (value instanceof Markup) return `Markup(${reprText(value.text)})`;
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Tuple) {
    return value.items.length === 1 ? `(${repr(value.items[0]!)},)` : `(${reprs(value.items)})`;
  }
  if (value instanceof Dict)
    return `{${value
      .entries()
      .map(([key, of]) => `${repr(key)}: ${reprs([of])}`)
      .join(", ")}}`;
  if (value instanceof View) return `${value.kind}([${reprs(value.items)}])`;
  if (value instanceof Range) {
    return `range(${value.start}, ${value.stop}${value.step === 1n ? "" : `, ${value.step}`})`;
  }
  if (value instanceof Attributes && value.show !== undefined) return value.show();
  if (value instanceof Callable || value instanceof Iterator || value instanceof Attributes) {
    throw new PythonError(`it prints a ${typeName(value)}, which Python shows with an address that changes`);
  }
  return value satisfies never;
}

/** Lists that hold the same list often are small, and long when they are printed. */
function reprs(values: readonly Value[]): string {
  const text = values.map(repr).join(", ");
  checkText(text.length);
  return text;
}

const MOST_DIGITS = 4300;
const LONGEST = 10n ** BigInt(MOST_DIGITS);

function intText(value: bigint): string {
  if (-LONGEST < value && value < LONGEST) return value.toString();
  throw new PythonError(`Exceeds the limit (${MOST_DIGITS} digits) for integer string conversion`);
}

function reprText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const written = text.replace(/[\p{C}\p{Z}\\'"]/gu, (character) => {
    if (character === " ") return character;
    if (character === "\\" || character === quote) return `\\${character}`;
    if (character === "'" || character === '"') return character;
    const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[character];
    if (short !== undefined) return short;
    const hex = character.codePointAt(0)!.toString(16);
    if (hex.length <= 2) return `\\x${hex.padStart(2, "0")}`;
    return hex.length <= 4 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
  });
  return quote + written + quote;
}
