import type { AppliedFilter, ArgumentList, Expression, Signature, Statement } from "./syntax.ts";

export interface Visitor {
  readonly expression?: (node: Expression) => void;
  readonly statement?: (node: Statement) => void;
  /** Told of each statement after what is in it. */
  readonly left?: (node: Statement) => void;
  readonly filter?: (filter: AppliedFilter) => void;
}

/** Visits every statement and expression of a part of a template, in the order of its text, each before what is in it. */
export function walk(statements: readonly Statement[], visitor: Visitor): void {
  const visitExpression = (node: Expression): void => {
    visitor.expression?.(node);
    if (node.type === "filter") visitor.filter?.(node);
    for (const inner of inExpression(node)) visitExpression(inner);
  };
  const visitStatement = (node: Statement): void => {
    visitor.statement?.(node);
    if (node.type === "set block" || node.type === "filter block") {
      for (const filter of node.filters) visitor.filter?.(filter);
    }
    for (const part of inStatement(node)) {
      if (Array.isArray(part)) for (const inner of part as readonly Statement[]) visitStatement(inner);
      else visitExpression(part as Expression);
    }
    visitor.left?.(node);
  };
  for (const statement of statements) visitStatement(statement);
}

function present(nodes: readonly (Expression | null)[]): Expression[] {
  return nodes.filter((node) => node !== null);
}

function inArguments({ positional, named, spread, namedSpread }: ArgumentList): Expression[] {
  return present([...positional, ...named.map(([, value]) => value), spread, namedSpread]);
}

function inSignature({ parameters }: Signature): Expression[] {
  return present(parameters.map(({ otherwise }) => otherwise));
}

function inExpression(node: Expression): readonly Expression[] {
  switch (node.type) {
    case "constant":
    case "name":
      return [];
    case "list":
    case "tuple":
      return node.items;
    case "dict":
      return node.entries.flat();
    case "attribute":
    case "unary":
      return [node.of];
    case "item":
      return [node.of, node.key];
    case "slice":
      return present([node.start, node.stop, node.step]);
    case "call":
      return [node.callee, ...inArguments(node.args)];
    case "filter":
    case "test":
      return [node.of, ...inArguments(node.args)];
    case "arithmetic":
    case "and":
    case "or":
      return [node.left, node.right];
    case "compare":
      return [node.first, ...node.rest.map(([, operand]) => operand)];
    case "concat":
      return node.parts;
    case "condition":
      return present([node.test, node.then, node.otherwise]);
  }
}

/** The expressions of a statement, and its bodies, which are lists. */
function inStatement(node: Statement): readonly (Expression | readonly Statement[])[] {
  switch (node.type) {
    case "text":
    case "break":
    case "continue":
      return [];
    case "print":
    case "set":
      return [node.value];
    case "if":
      return [...node.branches.flatMap(({ test, body }) => [test, body]), node.otherwise];
    case "for":
      return [node.over, ...present([node.test]), node.body, node.otherwise];
    case "set block":
    case "filter block":
      return [...node.filters.flatMap(({ args }) => inArguments(args)), node.body];
    case "with":
      return [...node.values.map(([, value]) => value), node.body];
    case "macro":
      return [...inSignature(node.signature), node.body];
    case "call block":
      return [...inSignature(node.signature), node.call, node.body];
    case "generation":
      return [node.body];
  }
}
