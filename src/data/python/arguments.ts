import { type Arguments, PythonError, typeName, type Value } from "./values.ts";

/** Positional and named arguments in the order of a function's parameters; undefined where none was given. */
export function bind(
  name: string,
  { positional, named }: Arguments,
  parameters: readonly string[],
): (Value | undefined)[] {
  if (positional.length > parameters.length) {
    throw new PythonError(`${name}() takes at most ${parameters.length} arguments, ${positional.length} were given`);
  }
  const bound: (Value | undefined)[] = parameters.map((_, i) => positional[i]);
  for (const [key, value] of named) {
    const at = parameters.indexOf(key);
    if (at === -1) throw new PythonError(`${name}() got an unexpected keyword argument '${key}'`);
    if (at < positional.length) throw new PythonError(`${name}() got multiple values for argument '${key}'`);
    bound[at] = value;
  }
  return bound;
}

/** An int (or bool) argument as a number, or `otherwise` where it is not given. */
export function toInt(value: Value | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "bigint" || typeof value === "boolean") return Number(value);
  throw new PythonError(`'${typeName(value)}' object cannot be interpreted as an integer`);
}

export const NO_ARGUMENTS: Arguments = { positional: [], named: new Map() };

export function argumentsOf(...positional: readonly Value[]): Arguments {
  return { positional, named: new Map() };
}
