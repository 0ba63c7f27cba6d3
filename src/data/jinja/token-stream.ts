import type { Token } from "./lexer.ts";
import { TemplateSyntaxError } from "./syntax-error.ts";

/** Tokens, read one after the other. */
export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }
  get current(): Token | undefined {
    return this.#tokens[this.#at];
  }
  get following(): Token | undefined {
    return this.#tokens[this.#at + 1];
  }
  /** Whether the current token is of a type, and of a value if one is given. */
  is(type: Token["type"], ...values: readonly string[]): boolean {
    const token = this.current;
    return token?.type === type && (values.length === 0 || values.includes(token.value as string));
  }
  isOperator(...values: readonly string[]): boolean {
    return this.is("operator", ...values);
  }
  isName(...values: readonly string[]): boolean {
    return this.is("name", ...values);
  }
  next(): Token {
    const token = this.current;
    if (token === undefined) throw this.unexpected();
    this.#at++;
    return token;
  }
  skip(type: Token["type"], value: string): boolean {
    if (!this.is(type, value)) return false;
    this.#at++;
    return true;
  }
  expect(type: Token["type"], value?: string): Token {
    if (!(value === undefined ? this.is(type) : this.is(type, value))) throw this.unexpected(value ?? type);
    return this.next();
  }
  name(): string {
    return this.expect("name").value as string;
  }
  unexpected(expected?: string): TemplateSyntaxError {
    const token = this.current;
    const found = token === undefined ? "the template ends" : `found \`${String(token.value).slice(0, 20)}\``;
    const line = token?.line ?? this.#tokens.at(-1)?.line;
    return new TemplateSyntaxError(expected === undefined ? `${found}` : `${found}, expected \`${expected}\``, line);
  }
  error(message: string): TemplateSyntaxError {
    return new TemplateSyntaxError(message, (this.current ?? this.#tokens.at(-1))?.line);
  }
}
