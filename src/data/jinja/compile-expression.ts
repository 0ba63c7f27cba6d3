import { calculate, signed } from "../python/arithmetic.ts";
import { contains, equal, order } from "../python/compare.ts";
import { attributeOf, itemOf, sliceOf } from "../python/lookup.ts";
import { str } from "../python/print.ts";
import { isTrue, iterate } from "../python/sequence.ts";
import { checkText } from "../python/size.ts";
import { type Arguments, Dict, PythonError, Tuple, textOf, Undefined, type Value } from "../python/values.ts";
import type { FilterContext } from "./filters/filter.ts";
import { filters } from "./filters/index.ts";
import { callValue } from "./globals.ts";
import type { Scope } from "./scope.ts";
import type { ArgumentList, Comparison, Expression } from "./syntax.ts";
import { tests } from "./tests.ts";
import { charactersWork, workOf } from "./work.ts";

export type Evaluate = (scope: Scope) => Value;

/** What filters that take the name of another one see. */
const context: FilterContext = {
  filter: (name, value, args) => named(filters, name, "filter")(value, args, context),
  test: (name, value, args) => named(tests, name, "test")(value, args),
};

function named<Of>(all: Readonly<Record<string, Of>>, name: string, kind: string): Of {
  if (!Object.hasOwn(all, name)) throw new PythonError(`No ${kind} named '${name}'.`);
  return all[name]!;
}

/** An expression as a function of the names it sees. */
export function compileExpression(node: Expression): Evaluate {
  switch (node.type) {
    case "constant":
      return () => node.value;
    case "name":
      return (scope) => scope.get(node.name);
    case "list": {
      const items = node.items.map(compileExpression);
      return (scope) => items.map((item) => item(scope));
    }
    case "tuple": {
      const items = node.items.map(compileExpression);
      return (scope) => new Tuple(items.map((item) => item(scope)));
    }
    case "dict": {
      const entries = node.entries.map(([key, value]) => [compileExpression(key), compileExpression(value)] as const);
      return (scope) => new Dict(entries.map(([key, value]) => [key(scope), value(scope)] as const));
    }
    case "attribute": {
      const of = compileExpression(node.of);
      return (scope) => attributeOf(of(scope), node.name);
    }
    case "item":
      return compileItem(node.of, node.key);
    case "slice":
      throw new PythonError("a slice stands alone between brackets");
    case "call": {
      const callee = compileExpression(node.callee);
      const args = compileArguments(node.args);
      return (scope) => {
        const [called, given] = [callee(scope), args(scope)];
        return counted(scope, given.positional, () => callValue(called, given));
      };
    }
    case "filter": {
      const of = compileExpression(node.of);
      const filter = compileFilter(node.name, node.args);
      return (scope) => filter(of(scope), scope);
    }
    case "test": {
      const of = compileExpression(node.of);
      const args = compileArguments(node.args);
      const test = named(tests, node.name, "test");
      return (scope) => {
        const value = of(scope);
        return counted(scope, [value], () => test(value, args(scope)));
      };
    }
    case "unary": {
      const of = compileExpression(node.of);
      const { operator } = node;
      if (operator === "not") return (scope) => !isTrue(of(scope));
      return (scope) => signed(operator, of(scope));
    }
    case "arithmetic": {
      const [left, right] = [compileExpression(node.left), compileExpression(node.right)];
      return (scope) => counted(scope, [], () => calculate(node.operator, left(scope), right(scope)));
    }
    case "and":
    case "or": {
      const [left, right] = [compileExpression(node.left), compileExpression(node.right)];
      const goesOn = node.type === "and";
      return (scope) => {
        const value = left(scope);
        return isTrue(value) === goesOn ? right(scope) : value;
      };
    }
    case "compare":
      return compileCompare(node.first, node.rest);
    case "concat": {
      const parts = node.parts.map(compileExpression);
      return (scope) => counted(scope, [], () => joined(parts.map((part) => str(part(scope)))));
    }
    case "condition": {
      const [test, then] = [compileExpression(node.test), compileExpression(node.then)];
      const otherwise = node.otherwise === null ? () => WITHOUT_ELSE : compileExpression(node.otherwise);
      return (scope) => (isTrue(test(scope)) ? then(scope) : otherwise(scope));
    }
  }
}

function joined(texts: readonly string[]): string {
  checkText(texts.reduce((sum, { length }) => sum + length, 0));
  return texts.join("");
}

/** A call, counted as work by what it is given and what it gives. */
function counted(scope: Scope, given: readonly Value[], call: () => Value): Value {
  for (const value of given) scope.run.spend(workOf(value));
  const result = call();
  scope.run.spend(workOf(result));
  return result;
}

const WITHOUT_ELSE = new Undefined("the inline if-expression evaluated to false and no else section was defined.");

function compileItem(of: Expression, key: Expression): Evaluate {
  const value = compileExpression(of);
  if (key.type !== "slice") {
    const at = compileExpression(key);
    return (scope) => {
      const of = value(scope);
      scope.run.spend(charactersWork(of));
      return itemOf(of, at(scope));
    };
  }
  const part = (node: Expression | null) => (node === null ? () => null : compileExpression(node));
  const [start, stop, step] = [part(key.start), part(key.stop), part(key.step)];
  return (scope) => {
    const of = value(scope);
    scope.run.spend(charactersWork(of));
    return counted(scope, [of], () => sliceOf(of, start(scope), stop(scope), step(scope)));
  };
}

const COMPARE: Readonly<Record<Comparison, (a: Value, b: Value) => boolean>> = {
  "==": equal,
  "!=": (a, b) => !equal(a, b),
  "<": (a, b) => order(a, b, "<") < 0,
  "<=": (a, b) => order(a, b, "<=") <= 0,
  ">": (a, b) => order(a, b, ">") > 0,
  ">=": (a, b) => order(a, b, ">=") >= 0,
  in: (a, b) => contains(b, a),
  "not in": (a, b) => !contains(b, a),
};

function compileCompare(first: Expression, rest: readonly (readonly [Comparison, Expression])[]): Evaluate {
  const start = compileExpression(first);
  const steps = rest.map(([operator, node]) => [COMPARE[operator], compileExpression(node)] as const);
  return (scope) => {
    let left = start(scope);
    for (const [holds, operand] of steps) {
      const right = operand(scope);
      scope.run.spend(workOf(left) + workOf(right));
      if (!holds(left, right)) return false;
      left = right;
    }
    return true;
  };
}

/** A filter with its arguments, as a function of the value. */
export function compileFilter(name: string, list: ArgumentList): (value: Value, scope: Scope) => Value {
  const args = compileArguments(list);
  const filter = named(filters, name, "filter");
  return (value, scope) => counted(scope, [value], () => filter(value, args(scope), context));
}

export function compileArguments({
  positional,
  named,
  spread,
  namedSpread,
}: ArgumentList): (scope: Scope) => Arguments {
  const first = positional.map(compileExpression);
  const byName = named.map(([name, value]) => [name, compileExpression(value)] as const);
  const more = spread === null ? null : compileExpression(spread);
  const moreByName = namedSpread === null ? null : compileExpression(namedSpread);
  return (scope) => {
    const values = first.map((argument) => argument(scope));
    const names = new Map(byName.map(([name, argument]) => [name, argument(scope)] as const));
    if (more !== null) for (const value of iterate(more(scope))) values.push(value);
    const dict = moreByName?.(scope);
    if (dict instanceof Dict) for (const [key, value] of dict.entries()) names.set(textOf(key) ?? "", value);
    else if (dict !== undefined) throw new PythonError("argument after ** must be a mapping");
    return { positional: values, named: names };
  };
}
