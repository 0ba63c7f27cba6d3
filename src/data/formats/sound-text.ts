import { UserError } from "../../common/errors.ts";
import { shortJson } from "../short-json.ts";

/** How deep lists and objects may lie in each other where a chat template is given them. */
const DEEPEST = 200;

interface Open {
  readonly value: unknown;
  readonly name: string;
  readonly depth: number;
}

/**
 * Refuses text that is none, half of a surrogate pair, and values nested deeper than what a template can go through.
 *
 * @throws UserError naming where it is.
 */
export function checkSoundText(value: unknown, name: string): void {
  const open: Open[] = [{ value, name, depth: 0 }];
  for (let next = open.pop(); next; next = open.pop()) {
    const { value, name, depth } = next;
    if (typeof value === "string") {
      // Matches a surrogate without its other half alone.
      const half = /\p{Surrogate}/u.exec(value)?.[0];
      if (half === undefined) continue;
      const code = half.charCodeAt(0).toString(16);
      throw new UserError(
        `${name} has half of a character (\\u${code} without its other half): repair it, or take it out`,
      );
    }
    if (typeof value !== "object" || value === null) continue;
    if (depth === DEEPEST) {
      throw new UserError(
        `\`${name.slice(0, 40)}…\` is ${shortJson(value)}, nested more than ${DEEPEST} deep: flatten it`,
      );
    }
    const below = Array.isArray(value) ? value.entries() : Object.entries(value);
    for (const [key, each] of below) {
      open.push({
        value: each,
        name: typeof key === "number" ? `${name}[${key}]` : `${name}.${key}`,
        depth: depth + 1,
      });
    }
  }
}
