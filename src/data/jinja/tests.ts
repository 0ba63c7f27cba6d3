import { bind } from "../python/arguments.ts";
import { calculate } from "../python/arithmetic.ts";
import { contains, equal, order } from "../python/compare.ts";
import { str } from "../python/print.ts";
import { iterable } from "../python/sequence.ts";
import { characterTests } from "../python/string-tests.ts";
import {
  type Arguments,
  Attributes,
  Callable,
  Dict,
  Markup,
  Range,
  Tuple,
  textOf,
  Undefined,
  type Value,
} from "../python/values.ts";
import { filters } from "./filters/index.ts";

export type Test = (value: Value, args: Arguments) => boolean;

/** A test that compares with its one argument. */
const against =
  (holds: (value: Value, other: Value) => boolean): Test =>
  (value, args) => {
    const [other] = bind("test", args, ["other"]);
    return holds(value, other === undefined ? new Undefined("the test needs a value to compare with") : other);
  };
const isNumber = (value: Value) => typeof value === "bigint" || typeof value === "number" || typeof value === "boolean";
const remainder = (value: Value, by: Value) => calculate("%", value, by);

const equalTo = against(equal);
const unequalTo = against((a, b) => !equal(a, b));
const below = against((a, b) => order(a, b, "<") < 0);
const atMost = against((a, b) => order(a, b, "<=") <= 0);
const above = against((a, b) => order(a, b, ">") > 0);
const atLeast = against((a, b) => order(a, b, ">=") >= 0);

/** The tests of Jinja2 (`x is NAME`), by name. */
export const tests: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === "boolean",
  callable: (value) =>
    value instanceof Callable ||
    value instanceof Undefined ||
    (value instanceof Attributes && value.call !== undefined),
  defined: (value) => !(value instanceof Undefined),
  divisibleby: against((value, by) => equal(remainder(value, by), 0n)),
  escaped: (value) => value instanceof Markup,
  even: (value) => equal(remainder(value, 2n), 0n),
  false: (value) => value === false,
  filter: (value) => Object.hasOwn(filters, str(value)),
  float: (value) => typeof value === "number",
  in: against((value, container) => contains(container, value)),
  integer: (value) => typeof value === "bigint",
  iterable: (value) => iterable(value) !== undefined,
  lower: (value) => characterTests.islower!(str(value)),
  mapping: (value) => value instanceof Dict,
  none: (value) => value === null,
  number: isNumber,
  odd: (value) => equal(remainder(value, 2n), 1n),
  sameas: against((a, b) => a === b),
  sequence: (value) =>
    textOf(value) !== undefined ||
    Array.isArray(value) ||
    value instanceof Dict ||
    value instanceof Tuple ||
    value instanceof Range ||
    value instanceof Undefined,
  string: (value) => textOf(value) !== undefined,
  test: (value) => Object.hasOwn(tests, str(value)),
  true: (value) => value === true,
  undefined: (value) => value instanceof Undefined,
  upper: (value) => characterTests.isupper!(str(value)),
  eq: equalTo,
  equalto: equalTo,
  "==": equalTo,
  ne: unequalTo,
  "!=": unequalTo,
  lt: below,
  lessthan: below,
  "<": below,
  le: atMost,
  "<=": atMost,
  gt: above,
  greaterthan: above,
  ">": above,
  ge: atLeast,
  ">=": atLeast,
};
