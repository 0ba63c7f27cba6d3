import { UserError } from "../common/errors.ts";

/** @throws UserError when two regularizers have one name. */
export function checkNames(names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new UserError(
        `two regularizers are named "${name}": give each its own name, since names tell their metrics apart`,
      );
    }
    seen.add(name);
  }
}
