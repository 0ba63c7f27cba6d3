/** A template that Jinja2 would not read, or that klamp does not. */
export class TemplateSyntaxError extends Error {
  constructor(message: string, line?: number) {
    super(line === undefined ? message : `line ${line}: ${message}`);
  }
}

/** A template that Jinja2 would read, and that uses what klamp does not have. */
export class UnsupportedError extends TemplateSyntaxError {}
