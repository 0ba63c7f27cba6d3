import type { AppliedFilter, ArgumentList, Expression, Signature, Statement } from "./syntax.ts";

export interface Visitor {
  readonly expression?: (node: Expression) => void;
  readonly statement?: (node: Statement) => void;
  /** Told of each statement after what is in it. */
  readonly left?: (node: Statement) => void;
  readonly filter?: (filter: AppliedFilter) => void;
}

/** Visits every statement and expression of a part of a template, each before what is in it. */
export function walk(statements: readonly Statement[], visitor: Visitor): void {
  const expressions = (nodes: readonly (Expression | null)[]) => {
    for (const node of nodes) if (node !== null) expression(node);
  };
  const args = ({ positional, named, spread, namedSpread }: ArgumentList) =>
    expressions([...positional, ...named.map(([, value]) => value), spread, namedSpread]);
  const applied = (filters: readonly AppliedFilter[]) => {
    for (const filter of filters) {
      visitor.filter?.(filter);
      args(filter.args);
    }
  };
  const defaults = ({ parameters }: Signature) => expressions(parameters.map(({ otherwise }) => otherwise));

  const expression = (node: Expression): void => {
    visitor.expression?.(node);
    switch (node.type) {
      case "constant":
      case "name":
        return;
      case "list":
      case "tuple":
        return expressions(node.items);
      case "dict":
        return expressions(node.entries.flat());
      case "attribute":
      case "unary":
        return expression(node.of);
      case "item":
        return expressions([node.of, node.key]);
      case "slice":
        return expressions([node.start, node.stop, node.step]);
      case "call":
        expression(node.callee);
        return args(node.args);
      case "filter":
        expression(node.of);
        return applied([node]);
      case "test":
        expression(node.of);
        return args(node.args);
      case "arithmetic":
      case "and":
      case "or":
        return expressions([node.left, node.right]);
      case "compare":
        return expressions([node.first, ...node.rest.map(([, operand]) => operand)]);
      case "concat":
        return expressions(node.parts);
      case "condition":
        return expressions([node.test, node.then, node.otherwise]);
    }
  };

  const statement = (node: Statement): void => {
    visitor.statement?.(node);
    inside(node);
    visitor.left?.(node);
  };

  const inside = (node: Statement): void => {
    switch (node.type) {
      case "text":
      case "break":
      case "continue":
        return;
      case "print":
      case "set":
        return expression(node.value);
      case "if":
        for (const { test, body } of node.branches) {
          expression(test);
          body.forEach(statement);
        }
        return node.otherwise.forEach(statement);
      case "for":
        expressions([node.over, node.test]);
        node.body.forEach(statement);
        return node.otherwise.forEach(statement);
      case "set block":
      case "filter block":
        applied(node.filters);
        return node.body.forEach(statement);
      case "with":
        expressions(node.values.map(([, value]) => value));
        return node.body.forEach(statement);
      case "macro":
        defaults(node.signature);
        return node.body.forEach(statement);
      case "call block":
        defaults(node.signature);
        expression(node.call);
        return node.body.forEach(statement);
      case "generation":
        return node.body.forEach(statement);
    }
  };
  statements.forEach(statement);
}
