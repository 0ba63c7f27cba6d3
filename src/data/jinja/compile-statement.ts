import { str } from "../python/print.ts";
import { isTrue, iterate, toList } from "../python/sequence.ts";
import { type Arguments, Attributes, PythonError, Undefined, type Value } from "../python/values.ts";
import { compileArguments, compileExpression, compileFilter, type Evaluate } from "./compile-expression.ts";
import { callValue } from "./globals.ts";
import { LoopState } from "./loop.ts";
import { compileMacro, namesIn } from "./macro.ts";
import type { Scope } from "./scope.ts";
import type { AppliedFilter, Statement, Target } from "./syntax.ts";
import { workOf } from "./work.ts";

/** What a statement does; a `break` or `continue` in it is handed to the loop around. */
export type Execute = (scope: Scope) => "break" | "continue" | undefined;

/** Statements, one after the other. */
export function compileBody(statements: readonly Statement[]): Execute {
  const steps = statements.map(compileStatement);
  return (scope) => {
    scope.run.spend(steps.length);
    for (const step of steps) {
      const signal = step(scope);
      if (signal !== undefined) return signal;
    }
    return undefined;
  };
}

/** A statement that ends in no `break` or `continue`. */
const plain =
  (work: (scope: Scope) => void): Execute =>
  (scope) => {
    work(scope);
    return undefined;
  };

function compileStatement(node: Statement): Execute {
  switch (node.type) {
    case "text":
      return plain((scope) => scope.run.output.write(node.text));
    case "print": {
      const value = compileExpression(node.value);
      return plain((scope) => {
        const text = str(value(scope));
        scope.run.spend(workOf(text));
        scope.run.output.write(text);
      });
    }
    case "if":
      return compileIf(node);
    case "for":
      return compileFor(node);
    case "set": {
      const value = compileExpression(node.value);
      return plain((scope) => assign(node.target, value(scope), scope));
    }
    case "set block": {
      const text = compileFiltered(node.filters, node.body);
      return plain((scope) => assign(node.target, text(scope), scope));
    }
    case "filter block": {
      const text = compileFiltered(node.filters, node.body);
      return plain((scope) => scope.run.output.write(str(text(scope))));
    }
    case "with": {
      const values = node.values.map(([target, value]) => [target, compileExpression(value)] as const);
      const body = compileBody(node.body);
      return (scope) => {
        const inner = scope.inner();
        for (const [target, value] of values) assign(target, value(scope), inner);
        return body(inner);
      };
    }
    case "macro": {
      const macro = compileMacro(node.name, node.signature, node.body, compileBody(node.body));
      return plain((scope) => scope.set(node.name, macro(scope)));
    }
    case "call block": {
      const caller = compileMacro("caller", node.signature, node.body, compileBody(node.body));
      const callee = compileExpression(node.call.callee);
      const args = compileArguments(node.call.args);
      return plain((scope) => {
        const { positional, named } = args(scope);
        const result = callValue(callee(scope), { positional, named: new Map([...named, ["caller", caller(scope)]]) });
        scope.run.output.write(str(result));
      });
    }
    case "generation": {
      const body = compileBody(node.body);
      return plain((scope) => {
        const { run } = scope;
        const text = run.capture(() => void body(scope.inner()));
        const start = run.whole.text.length;
        run.marks.push({ start, end: start + text.length });
        run.output.write(text);
      });
    }
    case "break":
    case "continue":
      return () => node.type;
  }
}

function compileIf({ branches, otherwise }: Extract<Statement, { type: "if" }>): Execute {
  const cases = branches.map(({ test, body }) => [compileExpression(test), compileBody(body)] as const);
  const last = compileBody(otherwise);
  return (scope) => {
    for (const [test, body] of cases) if (isTrue(test(scope))) return body(scope);
    return last(scope);
  };
}

/** The text of a block, after its filters. */
function compileFiltered(filters: readonly AppliedFilter[], statements: readonly Statement[]): Evaluate {
  const body = compileBody(statements);
  const steps = filters.map(({ name, args }) => compileFilter(name, args));
  return (scope) => {
    let value: Value = scope.run.capture(() => void body(scope.inner()));
    for (const step of steps) value = step(value, scope);
    return value;
  };
}

function compileFor(node: Extract<Statement, { type: "for" }>): Execute {
  const over = compileExpression(node.over);
  const test = node.test === null ? null : compileExpression(node.test);
  const body = compileBody(node.body);
  const otherwise = compileBody(node.otherwise);
  const usesLoop = node.recursive || namesIn(node.body).has("loop");

  function* chosen(items: Value, scope: Scope): Generator<Value> {
    for (const item of iterate(items)) {
      scope.run.spend(1);
      if (test !== null) {
        const inner = scope.inner();
        assign(node.target, item, inner);
        if (!isTrue(test(inner))) continue;
      }
      yield item;
    }
  }
  const loop = (items: Value, scope: Scope, depth: number): void => {
    const { run } = scope;
    run.spend(workOf(items));
    // A loop that can see its own length has all its items before the first pass.
    const list = usesLoop || test === null ? [...chosen(items, scope)] : chosen(items, scope);
    const state = new LoopState(Array.isArray(list) ? list : [], depth);
    const recurse = node.recursive
      ? ({ positional: [more] }: Arguments) => run.capture(() => loop(more ?? null, scope, depth + 1))
      : undefined;
    const context = usesLoop ? state.context(recurse) : undefined;
    const noted = run.depth === 0 && run.output === run.whole;
    const number = noted ? run.loops++ : 0;
    run.depth++;
    let index = 0;
    for (const item of list) {
      const inner = scope.inner();
      state.index = index;
      if (context !== undefined) inner.set("loop", context);
      assign(node.target, item, inner);
      const start = run.whole.text.length;
      const signal = body(inner);
      if (noted) run.passes.push({ item, index, loop: number, start, end: run.whole.text.length });
      index++;
      if (signal === "break") break;
    }
    run.depth--;
    if (index === 0) otherwise(scope.inner());
  };
  return plain((scope) => loop(over(scope), scope, 0));
}

function assign(target: Target, value: Value, scope: Scope): void {
  if (target.type === "name") scope.set(target.name, value);
  else if (target.type === "namespace") {
    const namespace = scope.get(target.name);
    if (!(namespace instanceof Attributes) || namespace.set === undefined) {
      throw new PythonError("cannot assign attribute on non-namespace object");
    }
    namespace.set(target.attribute, value);
  } else {
    if (value instanceof Undefined) value.fail();
    const items = toList(value);
    if (items.length !== target.items.length) {
      throw new PythonError(`${items.length} values cannot be assigned to ${target.items.length} names`);
    }
    for (const [i, name] of target.items.entries()) assign(name, items[i]!, scope);
  }
}
