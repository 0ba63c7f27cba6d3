import { tokenize } from "./lexer.ts";
import { parseExpression, parseFilter, parseTuple } from "./parse-expression.ts";
import type { AppliedFilter, Expression, Signature, Statement, Target } from "./syntax.ts";
import { UnsupportedError } from "./syntax-error.ts";
import { TokenStream } from "./token-stream.ts";

/**
 * Reads a template as Jinja2 does, with the tags that transformers knows: those of a single template, `break`,
 * `continue` and `generation`.
 *
 * @throws TemplateSyntaxError
 */
export function parse(source: string): Statement[] {
  const stream = new TokenStream(tokenize(source));
  return parseUntil(stream, []);
}

/** Statements up to a tag of one of these names, which is the current token then; up to the end for none. */
function parseUntil(stream: TokenStream, ends: readonly string[]): Statement[] {
  const body: Statement[] = [];
  while (stream.current !== undefined) {
    if (stream.is("text")) body.push({ type: "text", text: stream.next().value as string });
    else if (stream.is("print begin")) {
      stream.next();
      body.push({ type: "print", value: parseTuple(stream) });
      stream.expect("print end");
    } else {
      stream.expect("block begin");
      if (ends.length > 0 && stream.isName(...ends)) return body;
      for (const statement of parseTag(stream)) body.push(statement);
      stream.expect("block end");
    }
  }
  if (ends.length > 0) throw stream.error(`the template ends, expected \`{% ${ends.join(" %}` or `{% ")} %}\``);
  return body;
}

/** The body of a tag: what follows it, up to one of the ends; their names are taken off when `drop`. */
function parseBody(stream: TokenStream, ends: readonly string[]): Statement[] {
  stream.skip("operator", ":");
  stream.expect("block end");
  return parseUntil(stream, ends);
}

function parseWhole(stream: TokenStream, end: string): Statement[] {
  const body = parseBody(stream, [end]);
  stream.next();
  return body;
}

function parseTag(stream: TokenStream): Statement[] {
  const tag = stream.name();
  switch (tag) {
    case "if":
      return [parseIf(stream)];
    case "for":
      return [parseFor(stream)];
    case "set":
      return [parseSet(stream)];
    case "with":
      return [parseWith(stream)];
    case "macro": {
      const name = stream.name();
      return [{ type: "macro", name, signature: parseSignature(stream), body: parseWhole(stream, "endmacro") }];
    }
    case "call":
      return [parseCall(stream)];
    case "filter": {
      const filters = [parseFilter(stream), ...parseFilters(stream)];
      return [{ type: "filter block", filters, body: parseWhole(stream, "endfilter") }];
    }
    case "generation":
      return [{ type: "generation", body: parseWhole(stream, "endgeneration") }];
    case "break":
    case "continue":
      return [{ type: tag }];
    case "print":
      return parsePrint(stream);
    case "include":
    case "import":
    case "from":
    case "extends":
    case "block":
    case "autoescape":
      throw new UnsupportedError(`the tag \`{% ${tag} %}\``);
    default:
      throw stream.error(`the tag \`{% ${tag} %}\` is not known`);
  }
}

function parseIf(stream: TokenStream): Statement {
  const branches: { test: Expression; body: Statement[] }[] = [];
  for (;;) {
    const test = parseTuple(stream, { condition: false });
    branches.push({ test, body: parseBody(stream, ["elif", "else", "endif"]) });
    const next = stream.name();
    if (next === "elif") continue;
    return { type: "if", branches, otherwise: next === "else" ? parseWhole(stream, "endif") : [] };
  }
}

function parseFor(stream: TokenStream): Statement {
  const target = parseTarget(stream, { ends: ["in"] });
  stream.expect("name", "in");
  const over = parseTuple(stream, { condition: false, ends: ["recursive"] });
  const test = stream.skip("name", "if") ? parseExpression(stream) : null;
  const recursive = stream.skip("name", "recursive");
  const body = parseBody(stream, ["endfor", "else"]);
  const otherwise = stream.name() === "else" ? parseWhole(stream, "endfor") : [];
  return { type: "for", target, over, test, recursive, body, otherwise };
}

function parseSet(stream: TokenStream): Statement {
  const target = parseTarget(stream, { namespace: true });
  if (stream.skip("operator", "=")) return { type: "set", target, value: parseTuple(stream) };
  const filters = parseFilters(stream);
  return { type: "set block", target, filters, body: parseWhole(stream, "endset") };
}

function parseFilters(stream: TokenStream): AppliedFilter[] {
  const filters: AppliedFilter[] = [];
  while (stream.skip("operator", "|")) filters.push(parseFilter(stream));
  return filters;
}

function parseWith(stream: TokenStream): Statement {
  const values: [Target, Expression][] = [];
  while (!stream.is("block end")) {
    if (values.length > 0) stream.expect("operator", ",");
    const target = parseTarget(stream, { tuple: false });
    stream.expect("operator", "=");
    values.push([target, parseExpression(stream)]);
  }
  return { type: "with", values, body: parseWhole(stream, "endwith") };
}

function parseCall(stream: TokenStream): Statement {
  const signature = stream.isOperator("(") ? parseSignature(stream) : { parameters: [] };
  const call = parseExpression(stream);
  if (call.type !== "call") throw stream.error("`{% call %}` takes a call of a macro");
  return { type: "call block", signature, call, body: parseWhole(stream, "endcall") };
}

function parsePrint(stream: TokenStream): Statement[] {
  const printed: Statement[] = [];
  while (!stream.is("block end")) {
    if (printed.length > 0) stream.expect("operator", ",");
    printed.push({ type: "print", value: parseExpression(stream) });
  }
  return printed;
}

function parseSignature(stream: TokenStream): Signature {
  const parameters: { name: string; otherwise: Expression | null }[] = [];
  stream.expect("operator", "(");
  while (!stream.isOperator(")")) {
    if (parameters.length > 0) stream.expect("operator", ",");
    const name = stream.name();
    const otherwise = stream.skip("operator", "=") ? parseExpression(stream) : null;
    if (otherwise === null && parameters.some((before) => before.otherwise !== null)) {
      throw stream.error(`the parameter \`${name}\` has no default, and one before it has`);
    }
    parameters.push({ name, otherwise });
  }
  stream.next();
  return { parameters };
}

/** What is assigned to: a name, `namespace.name`, or several of them between commas, with or without brackets. */
function parseTarget(
  stream: TokenStream,
  { tuple = true, namespace = false, ends = [] }: { tuple?: boolean; namespace?: boolean; ends?: readonly string[] },
): Target {
  const one = (): Target => {
    if (stream.skip("operator", "(")) {
      const inside = parseTarget(stream, {});
      stream.expect("operator", ")");
      return inside;
    }
    const name = stream.name();
    if (/^([tT]rue|[fF]alse|[nN]one)$/.test(name)) throw stream.error(`\`${name}\` cannot be assigned to`);
    if (!namespace || !stream.skip("operator", ".")) return { type: "name", name };
    return { type: "namespace", name, attribute: stream.name() };
  };
  const first = one();
  if (!tuple || !stream.isOperator(",")) return first;
  const items = [first];
  while (stream.skip("operator", ",")) {
    if (stream.isOperator("=", ")") || stream.is("block end") || (ends.length > 0 && stream.isName(...ends))) break;
    items.push(one());
  }
  return { type: "tuple", items };
}
