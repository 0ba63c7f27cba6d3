/** A template that Jinja2 would not read, or that says what klamp does not support. */
export class TemplateSyntaxError extends Error {
  constructor(message: string, line?: number) {
    super(line === undefined ? message : `line ${line}: ${message}`);
  }
}
