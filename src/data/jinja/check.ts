import { UNSUPPORTED_METHODS } from "../python/string-methods.ts";
import { filters } from "./filters/index.ts";
import { UNSUPPORTED_GLOBALS } from "./globals.ts";
import type { Statement } from "./syntax.ts";
import { UnsupportedError } from "./syntax-error.ts";
import { tests } from "./tests.ts";
import { walk } from "./walk.ts";

/**
 * Refuses a template that uses what klamp does not have, wherever in it that stands.
 *
 * @throws UnsupportedError that names it.
 */
export function checkSupported(statements: readonly Statement[]): void {
  walk(statements, {
    filter: ({ name }) => {
      if (!Object.hasOwn(filters, name)) throw new UnsupportedError(`the filter \`${name}\``);
    },
    expression: (node) => {
      if (node.type === "test" && !Object.hasOwn(tests, node.name)) {
        throw new UnsupportedError(`the test \`is ${node.name}\``);
      }
      if (node.type === "name" && UNSUPPORTED_GLOBALS.includes(node.name)) {
        throw new UnsupportedError(`the function \`${node.name}\``);
      }
      if (node.type !== "call" || node.callee.type !== "attribute") return;
      if (UNSUPPORTED_METHODS.includes(node.callee.name)) {
        throw new UnsupportedError(`the method \`.${node.callee.name}()\``);
      }
    },
  });
}
