import type { Operator } from "../python/arithmetic.ts";
import type { AppliedFilter, ArgumentList, Comparison, Expression } from "./syntax.ts";
import type { TokenStream } from "./token-stream.ts";

/** @file Expressions, by descent through Jinja2's levels of precedence. */

/** One expression, or several between commas, which are a tuple. `ends` are names that end it as a bracket does. */
export function parseTuple(
  stream: TokenStream,
  {
    condition = true,
    parentheses = false,
    ends = [],
  }: { condition?: boolean; parentheses?: boolean; ends?: readonly string[] } = {},
): Expression {
  const items: Expression[] = [];
  let isTuple = false;
  for (;;) {
    if (items.length > 0) stream.expect("operator", ",");
    if (stream.isOperator(")") || stream.is("print end") || stream.is("block end")) break;
    if (ends.length > 0 && stream.isName(...ends)) break;
    items.push(condition ? parseExpression(stream) : parseOr(stream));
    if (!stream.isOperator(",")) break;
    isTuple = true;
  }
  if (!isTuple && items[0] !== undefined) return items[0];
  if (!isTuple && !parentheses) throw stream.unexpected("an expression");
  return { type: "tuple", items };
}

export function parseExpression(stream: TokenStream): Expression {
  let then = parseOr(stream);
  while (stream.skip("name", "if")) {
    const test = parseOr(stream);
    const otherwise = stream.skip("name", "else") ? parseExpression(stream) : null;
    then = { type: "condition", test, then, otherwise };
  }
  return then;
}

function parseOr(stream: TokenStream): Expression {
  let left = parseAnd(stream);
  while (stream.skip("name", "or")) left = { type: "or", left, right: parseAnd(stream) };
  return left;
}

function parseAnd(stream: TokenStream): Expression {
  let left = parseNot(stream);
  while (stream.skip("name", "and")) left = { type: "and", left, right: parseNot(stream) };
  return left;
}

function parseNot(stream: TokenStream): Expression {
  if (stream.skip("name", "not")) return { type: "unary", operator: "not", of: parseNot(stream) };
  return parseCompare(stream);
}

function parseCompare(stream: TokenStream): Expression {
  const first = parseSum(stream);
  const rest: [Comparison, Expression][] = [];
  for (;;) {
    if (stream.isOperator("==", "!=", "<", "<=", ">", ">=")) {
      rest.push([stream.next().value as Comparison, parseSum(stream)]);
    } else if (stream.skip("name", "in")) rest.push(["in", parseSum(stream)]);
    else if (stream.isName("not") && stream.following?.type === "name" && stream.following.value === "in") {
      stream.next();
      stream.next();
      rest.push(["not in", parseSum(stream)]);
    } else break;
  }
  return rest.length === 0 ? first : { type: "compare", first, rest };
}

function parseSum(stream: TokenStream): Expression {
  let left = parseConcat(stream);
  while (stream.isOperator("+", "-")) {
    const operator = stream.next().value as Operator;
    left = { type: "arithmetic", operator, left, right: parseConcat(stream) };
  }
  return left;
}

function parseConcat(stream: TokenStream): Expression {
  const parts = [parseProduct(stream)];
  while (stream.skip("operator", "~")) parts.push(parseProduct(stream));
  return parts.length === 1 ? parts[0]! : { type: "concat", parts };
}

function parseProduct(stream: TokenStream): Expression {
  let left = parsePower(stream);
  while (stream.isOperator("*", "/", "//", "%")) {
    const operator = stream.next().value as Operator;
    left = { type: "arithmetic", operator, left, right: parsePower(stream) };
  }
  return left;
}

function parsePower(stream: TokenStream): Expression {
  let left = parseUnary(stream, true);
  while (stream.skip("operator", "**")) {
    left = { type: "arithmetic", operator: "**", left, right: parseUnary(stream, true) };
  }
  return left;
}

function parseUnary(stream: TokenStream, withFilter: boolean): Expression {
  let value: Expression;
  if (stream.isOperator("-", "+")) {
    const operator = stream.next().value as "-" | "+";
    value = { type: "unary", operator, of: parseUnary(stream, false) };
  } else value = parsePrimary(stream);
  value = parsePostfix(stream, value);
  return withFilter ? parseFilters(stream, value) : value;
}

/** A name, a literal, or what stands in brackets. */
export function parsePrimary(stream: TokenStream): Expression {
  const token = stream.next();
  if (token.type === "number") return { type: "constant", value: token.value };
  if (token.type === "string") {
    let value = token.value;
    while (stream.is("string")) value += stream.next().value as string;
    return { type: "constant", value };
  }
  if (token.type === "name") {
    if (/^[tT]rue$|^[fF]alse$/.test(token.value)) return { type: "constant", value: /^[tT]/.test(token.value) };
    if (/^[nN]one$/.test(token.value)) return { type: "constant", value: null };
    return { type: "name", name: token.value };
  }
  if (token.type === "operator" && token.value === "(") {
    const inside = parseTuple(stream, { parentheses: true });
    stream.expect("operator", ")");
    return inside;
  }
  if (token.type === "operator" && token.value === "[") {
    return { type: "list", items: between(stream, "]", () => parseExpression(stream)) };
  }
  if (token.type === "operator" && token.value === "{") {
    const entry = (): readonly [Expression, Expression] => {
      const key = parseExpression(stream);
      stream.expect("operator", ":");
      return [key, parseExpression(stream)];
    };
    return { type: "dict", entries: between(stream, "}", entry) };
  }
  throw stream.error(`\`${token.value}\` is not expected here`);
}

/** Items between commas up to a closing bracket; a comma may stand after the last. */
function between<Item>(stream: TokenStream, closing: string, item: () => Item): Item[] {
  const items: Item[] = [];
  while (!stream.isOperator(closing)) {
    if (items.length > 0) stream.expect("operator", ",");
    if (stream.isOperator(closing)) break;
    items.push(item());
  }
  stream.expect("operator", closing);
  return items;
}

export function parsePostfix(stream: TokenStream, value: Expression): Expression {
  for (;;) {
    if (stream.isOperator(".")) value = parseAttribute(stream, value);
    else if (stream.isOperator("[")) value = parseSubscript(stream, value);
    else if (stream.isOperator("(")) value = { type: "call", callee: value, args: parseArguments(stream) };
    else return value;
  }
}

function parseFilters(stream: TokenStream, value: Expression): Expression {
  for (;;) {
    if (stream.skip("operator", "|")) value = { type: "filter", of: value, ...parseFilter(stream) };
    else if (stream.skip("name", "is")) value = parseTest(stream, value);
    else if (stream.isOperator("(")) value = { type: "call", callee: value, args: parseArguments(stream) };
    else return value;
  }
}

/** A filter's name and arguments, after the `|`. */
export function parseFilter(stream: TokenStream): AppliedFilter {
  const name = dottedName(stream);
  return { name, args: stream.isOperator("(") ? parseArguments(stream) : NO_ARGUMENTS };
}

const NO_ARGUMENTS: ArgumentList = { positional: [], named: [], spread: null, namedSpread: null };

function dottedName(stream: TokenStream): string {
  let name = stream.name();
  while (stream.skip("operator", ".")) name += `.${stream.name()}`;
  return name;
}

function parseTest(stream: TokenStream, of: Expression): Expression {
  const negated = stream.skip("name", "not");
  const name = dottedName(stream);
  let args = NO_ARGUMENTS;
  if (stream.isOperator("(")) args = parseArguments(stream);
  else if (beginsArgument(stream)) {
    if (stream.isName("is")) throw stream.error("several tests cannot be chained with `is`");
    args = { ...NO_ARGUMENTS, positional: [parsePostfix(stream, parsePrimary(stream))] };
  }
  const test: Expression = { type: "test", of, name, args };
  return negated ? { type: "unary", operator: "not", of: test } : test;
}

function beginsArgument(stream: TokenStream): boolean {
  if (stream.isName("else", "or", "and")) return false;
  return stream.is("name") || stream.is("string") || stream.is("number") || stream.isOperator("[", "{");
}

function parseAttribute(stream: TokenStream, of: Expression): Expression {
  stream.next();
  const token = stream.next();
  if (token.type === "name") return { type: "attribute", of, name: token.value };
  if (token.type === "number" && typeof token.value === "bigint")
    return { type: "item", of, key: { type: "constant", value: token.value } };
  throw stream.error("after a point comes a name or a number");
}

function parseSubscript(stream: TokenStream, of: Expression): Expression {
  stream.next();
  const keys: Expression[] = [];
  while (!stream.isOperator("]")) {
    if (keys.length > 0) stream.expect("operator", ",");
    keys.push(parseSubscribed(stream));
  }
  stream.expect("operator", "]");
  return { type: "item", of, key: keys.length === 1 ? keys[0]! : { type: "tuple", items: keys } };
}

function parseSubscribed(stream: TokenStream): Expression {
  const start = stream.isOperator(":") ? null : parseExpression(stream);
  if (start !== null && !stream.isOperator(":")) return start;
  stream.expect("operator", ":");
  const part = () => (stream.isOperator(":", "]", ",") ? null : parseExpression(stream));
  const stop = part();
  const step = stream.skip("operator", ":") ? part() : null;
  return { type: "slice", start, stop, step };
}

export function parseArguments(stream: TokenStream): ArgumentList {
  const positional: Expression[] = [];
  const named: [string, Expression][] = [];
  let spread: Expression | null = null;
  let namedSpread: Expression | null = null;
  stream.expect("operator", "(");
  for (let first = true; !stream.isOperator(")"); first = false) {
    if (!first) {
      stream.expect("operator", ",");
      if (stream.isOperator(")")) break;
    }
    const ensure = (holds: boolean) => {
      if (!holds) throw stream.error("the arguments of this call are not in an order that Python allows");
    };
    if (stream.skip("operator", "*")) {
      ensure(spread === null && namedSpread === null);
      spread = parseExpression(stream);
    } else if (stream.skip("operator", "**")) {
      ensure(namedSpread === null);
      namedSpread = parseExpression(stream);
    } else if (stream.is("name") && stream.following?.type === "operator" && stream.following.value === "=") {
      ensure(namedSpread === null);
      const name = stream.name();
      stream.next();
      named.push([name, parseExpression(stream)]);
    } else {
      ensure(spread === null && namedSpread === null && named.length === 0);
      positional.push(parseExpression(stream));
    }
  }
  stream.expect("operator", ")");
  return { positional, named, spread, namedSpread };
}
