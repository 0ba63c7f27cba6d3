import { UserError } from "../../common/errors.ts";

/** What a tokenizer.json asks for and klamp cannot do exactly as Python's `tokenizers` does it. */
export function notSupported(what: string, supported: readonly string[]): UserError {
  return new UserError(`this tokenizer needs ${what}; klamp has ${supported.join(", ")}`);
}
