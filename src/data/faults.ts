import { UserError } from "../common/errors.ts";

/** The most faults that one message names. */
const MOST = 10;

/** What is wrong with lines of data: work goes on after each, so that one message tells of them all. */
export class Faults {
  readonly #first: UserError[] = [];
  #count = 0;

  /** Runs `work` on a line; undefined when it ends in a user's mistake, which is kept. */
  attempt<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause;
      this.#count++;
      if (this.#first.length < MOST) this.#first.push(cause);
      return undefined;
    }
  }

  /**
   * @param advice what to do, said once at the end.
   * @throws UserError with the first faults and how many there are; what was caught itself when it is the only one.
   */
  check(advice = ""): void {
    const [only] = this.#first;
    if (only === undefined) return;
    if (this.#count === 1) throw advice === "" ? only : new UserError(`${only.message}; ${advice}`, { cause: only });
    const shown = this.#first.map(({ message }) => `\n  ${message}`).join("");
    const more = this.#count > MOST ? `\n  and ${this.#count - MOST} more` : "";
    throw new UserError(`${this.#count} lines cannot be used:${shown}${more}${advice === "" ? "" : `\n${advice}`}`, {
      cause: only,
    });
  }
}
