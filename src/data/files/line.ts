import { basename } from "node:path";
import { UserError } from "../../common/errors.ts";

/** One object of a data file. */
export interface DataLine {
  /** What it holds. @throws UserError, when asked, for what is not one object; the lines after it can still be read. */
  readonly value: Readonly<Record<string, unknown>>;
  /** Where it begins: its line of a text file, its row of a table, from 1. */
  readonly number: number;
  /** File name and place, `train.jsonl:12`. */
  readonly source: string;
  /** An error about this line, which names it. */
  fail(reason: string, options?: ErrorOptions): UserError;
}

/** The text after a file's name that says which of its lines is meant, such as `:12`. */
export type Place = `:${number}` | `:${number} (item ${number})` | ` (row ${number})`;

/** A line whose value is read when it is first asked for. @param read is given what makes an error of a reason. */
export function dataLine(
  path: string,
  number: number,
  place: Place,
  read: (fail: DataLine["fail"]) => Readonly<Record<string, unknown>>,
): DataLine {
  const fail = (reason: string, options?: ErrorOptions) => new UserError(`${path}${place}: ${reason}`, options);
  let found: Readonly<Record<string, unknown>> | undefined;
  return {
    number,
    source: `${basename(path)}${place}`,
    fail,
    get value() {
      found ??= read(fail);
      return found;
    },
  };
}
