/**
 * A mistake the user can mend: bad input, a bad file, a bad setting. The message is one sentence that says what was
 * found, what was expected, and what to do. The command line prints it without a stack and exits with code 2.
 */
export class UserError extends Error {
  override readonly name: string = "UserError";
}
