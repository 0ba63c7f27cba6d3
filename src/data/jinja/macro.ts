import { type Arguments, Callable, Dict, PythonError, Tuple, Undefined, type Value } from "../python/values.ts";
import { compileExpression, type Evaluate } from "./compile-expression.ts";
import type { Scope } from "./scope.ts";
import type { Signature, Statement } from "./syntax.ts";
import { walk } from "./walk.ts";

/** What a macro does in a scope in which its parameters are set. */
export type Body = (scope: Scope) => void;

/** A macro, or the body of a `{% call %}` block, as a function of the scope in which it is defined. */
export function compileMacro(
  name: string,
  { parameters }: Signature,
  statements: readonly Statement[],
  body: Body,
): (scope: Scope) => Callable {
  const used = namesIn(statements);
  const defaults = parameters.map(({ otherwise }): Evaluate | null =>
    otherwise === null ? null : compileExpression(otherwise),
  );
  const names = parameters.map((parameter) => parameter.name);
  const attributes = new Map<string, Value>([
    ["name", name],
    ["arguments", new Tuple(names)],
    ["caller", used.has("caller")],
    ["catch_kwargs", used.has("kwargs")],
    ["catch_varargs", used.has("varargs")],
  ]);
  return (definedIn) =>
    new Callable(
      name,
      (args) => {
        const scope = definedIn.inner();
        bindParameters(name, names, args, used, scope);
        parameters.forEach((parameter, i) => {
          if (scope.findOwn(parameter.name) !== undefined) return;
          const otherwise = defaults[i];
          const missing = () => new Undefined(`parameter '${parameter.name}' was not provided`);
          scope.set(parameter.name, otherwise === null || otherwise === undefined ? missing() : otherwise(scope));
        });
        return scope.run.capture(() => body(scope));
      },
      attributes,
    );
}

function bindParameters(
  name: string,
  names: readonly string[],
  { positional, named }: Arguments,
  used: ReadonlySet<string>,
  scope: Scope,
): void {
  const rest = new Map(named);
  positional.slice(0, names.length).forEach((value, i) => {
    if (rest.has(names[i]!)) throw new PythonError(`macro '${name}' got multiple values for argument '${names[i]}'`);
    scope.set(names[i]!, value);
  });
  for (const parameter of names) {
    const value = rest.get(parameter);
    if (value !== undefined) scope.set(parameter, value);
    rest.delete(parameter);
  }
  if (used.has("caller") && !names.includes("caller")) {
    const caller = rest.get("caller");
    scope.set("caller", caller === undefined ? new Undefined("No caller defined") : caller);
    rest.delete("caller");
  }
  const more = positional.slice(names.length);
  if (used.has("varargs")) scope.set("varargs", new Tuple(more));
  else if (more.length > 0) throw new PythonError(`macro '${name}' takes not more than ${names.length} argument(s)`);
  if (used.has("kwargs")) scope.set("kwargs", new Dict(rest));
  else if (rest.size > 0) {
    throw new PythonError(`macro '${name}' takes no keyword argument '${[...rest.keys()][0]}'`);
  }
}

/** The names that statements read, anywhere in them. */
export function namesIn(statements: readonly Statement[]): ReadonlySet<string> {
  const names = new Set<string>();
  walk(statements, {
    expression: (node) => {
      if (node.type === "name") names.add(node.name);
    },
  });
  return names;
}
