import { UNSUPPORTED_METHODS } from "../python/string-methods.ts";
import { filters } from "./filters/index.ts";
import { UNSUPPORTED_GLOBALS } from "./globals.ts";
import type { Statement } from "./syntax.ts";
import { TemplateSyntaxError } from "./syntax-error.ts";
import { tests } from "./tests.ts";
import { walk } from "./walk.ts";

/**
 * Refuses a template that uses what klamp does not have, wherever in it that stands.
 *
 * @throws TemplateSyntaxError that names it.
 */
export function checkSupported(statements: readonly Statement[]): void {
  walk(statements, {
    filter: ({ name }) => {
      if (!Object.hasOwn(filters, name)) throw new TemplateSyntaxError(`the filter \`${name}\` is not supported`);
    },
    expression: (node) => {
      if (node.type === "test" && !Object.hasOwn(tests, node.name)) {
        throw new TemplateSyntaxError(`the test \`is ${node.name}\` is not supported`);
      }
      if (node.type === "name" && UNSUPPORTED_GLOBALS.includes(node.name)) {
        throw new TemplateSyntaxError(`the function \`${node.name}\` is not supported`);
      }
      if (node.type !== "call" || node.callee.type !== "attribute") return;
      if (UNSUPPORTED_METHODS.includes(node.callee.name)) {
        throw new TemplateSyntaxError(`the method \`.${node.callee.name}()\` is not supported`);
      }
    },
  });
}
