import { isSpace, rightStrip } from "../python/text.ts";
import { unescapeLiteral } from "./literals.ts";
import { TemplateSyntaxError } from "./syntax-error.ts";

export type Token =
  | { readonly type: "text" | "name" | "string" | "operator"; readonly value: string; readonly line: number }
  | { readonly type: "number"; readonly value: bigint | number; readonly line: number }
  | {
      readonly type: "block begin" | "block end" | "print begin" | "print end";
      readonly value: string;
      readonly line: number;
    };

const OPENING = /\{%([-+]?)\s*raw\s*(?:-%\}\s*|%\})|\{([%{#])([-+]?)/g;
const ENDRAW = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)/g;
const COMMENT_END = /\+#\}|-#\}\s*|#\}\n?/g;
const BLOCK_END = /\+%\}|-%\}\s*|%\}\n?/y;
const PRINT_END = /-\}\}\s*|\}\}/y;

const WHITE = /\s+/y;
const FLOAT = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{ID_Start}_][\p{ID_Continue}]*/uy;
const STRING = /'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"/y;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;

const CLOSING: Readonly<Record<string, string>> = { "{": "}", "(": ")", "[": "]" };

/**
 * The tokens of a template as Jinja2 has them with `trim_blocks` and `lstrip_blocks`: line ends of all kinds are \n, the
 * one at the end of the template is taken off, and so is white space where `-`, a block's line or its end ask for it.
 */
export function tokenize(template: string): Token[] {
  const source = template.replace(/\r\n|\r/g, "\n").replace(/\n$/, "");
  return new Lexer(source).tokens();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Whether what was read last ends a line: the white space after it begins one. */
  #startsLine = true;

  constructor(source: string) {
    this.#source = source;
  }

  tokens(): Token[] {
    while (this.#at < this.#source.length) {
      OPENING.lastIndex = this.#at;
      const opening = OPENING.exec(this.#source);
      if (opening === null) {
        this.#add("text", this.#source.slice(this.#at));
        break;
      }
      const [, rawSign, kind, sign = rawSign ?? ""] = opening;
      this.#text(this.#source.slice(this.#at, opening.index), sign, kind !== "{");
      this.#move(OPENING.lastIndex);
      if (kind === undefined) this.#raw();
      else if (kind === "#") this.#comment();
      else this.#code(kind === "%");
    }
    return this.#tokens;
  }

  #text(text: string, sign: string, isBlock: boolean): void {
    let kept = text;
    if (sign === "-") kept = rightStrip(text);
    else if (sign !== "+" && isBlock) {
      const lineStart = text.lastIndexOf("\n") + 1;
      if ((lineStart > 0 || this.#startsLine) && isSpace(text.slice(lineStart))) kept = text.slice(0, lineStart);
    }
    if (kept !== "") this.#add("text", kept);
  }

  #raw(): void {
    ENDRAW.lastIndex = this.#at;
    const end = ENDRAW.exec(this.#source);
    if (end === null) throw this.#error("`{% raw %}` has no `{% endraw %}`");
    this.#text(this.#source.slice(this.#at, end.index), end[1]!, true);
    this.#move(ENDRAW.lastIndex);
  }

  #comment(): void {
    COMMENT_END.lastIndex = this.#at;
    if (COMMENT_END.exec(this.#source) === null) throw this.#error("a comment `{#` has no `#}`");
    this.#move(COMMENT_END.lastIndex);
  }

  #code(isBlock: boolean): void {
    const what = isBlock ? "block" : "print";
    const closing = isBlock ? BLOCK_END : PRINT_END;
    const open: string[] = [];
    this.#add(`${what} begin`, isBlock ? "{%" : "{{");
    for (;;) {
      if (this.#at >= this.#source.length) throw this.#error(`\`${isBlock ? "{%" : "{{"}\` is not closed`);
      if (open.length === 0 && this.#match(closing) !== undefined) {
        this.#add(`${what} end`, isBlock ? "%}" : "}}");
        this.#move(closing.lastIndex);
        return;
      }
      const [pattern, value] = this.#inCode();
      if (pattern === OPERATOR) this.#balance(value, open);
      if (pattern !== WHITE) this.#push(pattern, value);
      this.#move(this.#at + value.length);
    }
  }

  #inCode(): readonly [RegExp, string] {
    for (const pattern of [WHITE, FLOAT, INTEGER, NAME, STRING, OPERATOR]) {
      const value = this.#match(pattern);
      if (value !== undefined) return [pattern, value];
    }
    throw this.#error(`the character ${JSON.stringify(this.#source[this.#at])} is not expected here`);
  }

  #push(pattern: RegExp, value: string): void {
    if (pattern === FLOAT)
      this.#tokens.push({ type: "number", value: Number(value.replaceAll("_", "")), line: this.#line });
    else if (pattern === INTEGER)
      this.#tokens.push({ type: "number", value: BigInt(value.replaceAll("_", "")), line: this.#line });
    else if (pattern === STRING) this.#add("string", unescapeLiteral(value.slice(1, -1)));
    else this.#add(pattern === NAME ? "name" : "operator", value);
  }

  #balance(operator: string, open: string[]): void {
    const closing = CLOSING[operator];
    if (closing !== undefined) open.push(closing);
    else if (/[})\]]/.test(operator) && open.pop() !== operator)
      throw this.#error(`\`${operator}\` is not expected here`);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0];
  }

  #add(type: Exclude<Token["type"], "number">, value: string): void {
    this.#tokens.push({ type, value, line: this.#line });
  }

  #move(to: number): void {
    for (let i = this.#at; i < to; i++) if (this.#source[i] === "\n") this.#line++;
    this.#startsLine = this.#source[to - 1] === "\n";
    this.#at = to;
  }

  #error(message: string): TemplateSyntaxError {
    return new TemplateSyntaxError(message, this.#line);
  }
}
