import { GLOBAL_NAMES } from "./globals.ts";
import type { Expression, Signature, Statement, Target } from "./syntax.ts";
import { walk } from "./walk.ts";

/** The names that a template reads before it sets them, if it does, save the functions that all templates have. */
export function variablesOf(statements: readonly Statement[]): ReadonlySet<string> {
  const read = new Set<string>();
  const made = new Set<string>(["loop", "caller", "varargs", "kwargs"]);
  const target = (node: Target): void => {
    if (node.type === "name") made.add(node.name);
    if (node.type === "tuple") node.items.forEach(target);
  };
  const parameters = ({ parameters }: Signature) => {
    for (const { name } of parameters) made.add(name);
  };
  walk(statements, {
    expression: (node: Expression) => {
      if (node.type === "name" && !made.has(node.name)) read.add(node.name);
    },
    statement: (node) => {
      if (node.type === "for") target(node.target);
      if (node.type === "with") for (const [name] of node.values) target(name);
      if (node.type === "macro") made.add(node.name);
      if (node.type === "macro" || node.type === "call block") parameters(node.signature);
    },
    left: (node) => {
      if (node.type === "set" || node.type === "set block") target(node.target);
    },
  });
  for (const name of GLOBAL_NAMES) read.delete(name);
  return read;
}
