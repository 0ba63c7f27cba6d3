import type { Value } from "../python/values.ts";
import { checkSupported } from "./check.ts";
import { compileBody, type Execute } from "./compile-statement.ts";
import { templateGlobals } from "./globals.ts";
import { parse } from "./parse.ts";
import { type Pass, Run, type Stretch } from "./run.ts";
import { Scope } from "./scope.ts";
import type { Statement } from "./syntax.ts";
import { variablesOf } from "./variables.ts";
import { walk } from "./walk.ts";

/** A rendered text, and what was noted while it was written. */
export interface Rendered {
  readonly text: string;
  /** What stands between `{% generation %}` and `{% endgeneration %}`. */
  readonly marks: readonly Stretch[];
  /** The passes of the outermost loops. */
  readonly passes: readonly Pass[];
}

/**
 * A template of Jinja2 as transformers configures it: `trim_blocks`, `lstrip_blocks`, the immutable sandbox, loop
 * controls, `{% generation %}`, and Python's values.
 *
 * @throws TemplateSyntaxError for what Jinja2 would not parse, or klamp does not support.
 */
export class Template {
  readonly statements: readonly Statement[];
  /** The names that a conversation may give, and the template reads. */
  readonly variables: ReadonlySet<string>;
  readonly marksGeneration: boolean;
  readonly #body: Execute;

  constructor(source: string) {
    this.statements = parse(source);
    checkSupported(this.statements);
    this.variables = variablesOf(this.statements);
    let marks = false;
    walk(this.statements, {
      statement: ({ type }) => {
        marks ||= type === "generation";
      },
    });
    this.marksGeneration = marks;
    this.#body = compileBody(this.statements);
  }

  /** @throws PythonError where Jinja2 or Python would raise, RangeError where the stack is full. */
  render(variables: ReadonlyMap<string, Value>, now: Date): Rendered {
    const run = new Run(now);
    const globals = new Scope(run);
    for (const [name, value] of templateGlobals(now)) globals.set(name, value);
    const scope = globals.inner();
    for (const [name, value] of variables) scope.set(name, value);
    this.#body(scope);
    return { text: run.whole.text, marks: run.marks, passes: run.passes };
  }
}
