import type { Operator } from "../python/arithmetic.ts";

/** @file The syntax tree of a template: Jinja2's statements and expressions, under Jinja2's names. */

export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";

/** The arguments of a call, filter or test. */
export interface ArgumentList {
  readonly positional: readonly Expression[];
  readonly named: readonly (readonly [string, Expression])[];
  readonly spread: Expression | null;
  readonly namedSpread: Expression | null;
}

export type Expression =
  | { readonly type: "constant"; readonly value: null | boolean | bigint | number | string }
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "list" | "tuple"; readonly items: readonly Expression[] }
  | { readonly type: "dict"; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly type: "attribute"; readonly of: Expression; readonly name: string }
  | { readonly type: "item"; readonly of: Expression; readonly key: Expression }
  | {
      readonly type: "slice";
      readonly start: Expression | null;
      readonly stop: Expression | null;
      readonly step: Expression | null;
    }
  | { readonly type: "call"; readonly callee: Expression; readonly args: ArgumentList }
  | { readonly type: "filter"; readonly of: Expression; readonly name: string; readonly args: ArgumentList }
  | { readonly type: "test"; readonly of: Expression; readonly name: string; readonly args: ArgumentList }
  | { readonly type: "unary"; readonly operator: "-" | "+" | "not"; readonly of: Expression }
  | { readonly type: "arithmetic"; readonly operator: Operator; readonly left: Expression; readonly right: Expression }
  | { readonly type: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | {
      readonly type: "compare";
      readonly first: Expression;
      readonly rest: readonly (readonly [Comparison, Expression])[];
    }
  | { readonly type: "concat"; readonly parts: readonly Expression[] }
  | {
      readonly type: "condition";
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression | null;
    };

export type Target =
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "tuple"; readonly items: readonly Target[] }
  | { readonly type: "namespace"; readonly name: string; readonly attribute: string };

export interface Signature {
  readonly parameters: readonly { readonly name: string; readonly otherwise: Expression | null }[];
}

/** A filter with its arguments, applied to a block. */
export interface AppliedFilter {
  readonly name: string;
  readonly args: ArgumentList;
}

export type Statement =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "print"; readonly value: Expression }
  | {
      readonly type: "if";
      readonly branches: readonly { readonly test: Expression; readonly body: readonly Statement[] }[];
      readonly otherwise: readonly Statement[];
    }
  | {
      readonly type: "for";
      readonly target: Target;
      readonly over: Expression;
      readonly test: Expression | null;
      readonly recursive: boolean;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | { readonly type: "set"; readonly target: Target; readonly value: Expression }
  | {
      readonly type: "set block";
      readonly target: Target;
      readonly filters: readonly AppliedFilter[];
      readonly body: readonly Statement[];
    }
  | {
      readonly type: "with";
      readonly values: readonly (readonly [Target, Expression])[];
      readonly body: readonly Statement[];
    }
  | {
      readonly type: "macro";
      readonly name: string;
      readonly signature: Signature;
      readonly body: readonly Statement[];
    }
  | {
      readonly type: "call block";
      readonly signature: Signature;
      readonly call: Extract<Expression, { type: "call" }>;
      readonly body: readonly Statement[];
    }
  | { readonly type: "filter block"; readonly filters: readonly AppliedFilter[]; readonly body: readonly Statement[] }
  | { readonly type: "generation"; readonly body: readonly Statement[] }
  | { readonly type: "break" | "continue" };
