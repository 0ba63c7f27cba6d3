import { pipeline, Readable } from "node:stream";
import { CsvError, type Info, parse } from "csv-parse";
import { UserError } from "../../common/errors.ts";
import { parseJsonText } from "../json-text.ts";
import { shortJson } from "../short-json.ts";
import { type DataLine, dataLine } from "./line.ts";
import { MOST_CHARACTERS } from "./text.ts";

/** Columns whose cells are JSON, since they hold more than text. */
const JSON_COLUMNS = [
  "messages",
  "conversations",
  "tokens",
  "weights",
  "weight",
  "tools",
  "documents",
  "chat_template_kwargs",
  "template_kwargs",
];

interface Row {
  readonly record: readonly string[];
  readonly info: Info;
}

/**
 * The rows of a table whose first row has the names of its columns. A cell is text, in a column of lists, objects or
 * numbers (`messages`, `tokens`, `weight`, …) JSON; there an empty cell is none.
 *
 * @throws UserError for columns of one name, and quotes that do not close.
 */
export async function* readCsv(
  path: string,
  text: AsyncIterable<string>,
  delimiter: "," | "\t",
): AsyncGenerator<DataLine> {
  const parser = parse({
    delimiter,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MOST_CHARACTERS,
  });
  const rows: AsyncIterable<unknown> = pipeline(Readable.from(text), parser, () => {});
  let names: readonly string[] | undefined;
  let line = 1;
  try {
    for await (const each of rows) {
      const { record, info } = each as Row;
      if (names === undefined) names = checkNames(record, path);
      else yield rowOf(path, line, names, record);
      line = info.lines + 1;
    }
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new UserError(`${path}: this is not valid CSV: ${cause.message}`, { cause });
  }
}

/** Whether a prompt's or completion's cell is a list of messages: no text begins so. */
function isTurns(name: string, cell: string): boolean {
  return (name === "prompt" || name === "completion") && /^\s*\[\s*\{\s*"(role|content)"\s*:/.test(cell);
}

function checkNames(written: readonly string[], path: string): readonly string[] {
  const names = written.map((name) => name.trim());
  const doubled = names.find((name, i) => names.indexOf(name) < i);
  if (doubled !== undefined) {
    throw new UserError(`${path}:1: two columns are called ${shortJson(doubled)}, and only one can count: rename one`);
  }
  if (names.length === 1 && /[;|\t]/.test(names[0]!)) {
    throw new UserError(
      `${path}:1: the first row is one cell, ${shortJson(names[0])}: put commas between cells, or tabs in a file called .tsv`,
    );
  }
  return names;
}

function rowOf(path: string, line: number, names: readonly string[], cells: readonly string[]): DataLine {
  return dataLine(path, line, `:${line}`, (fail) => {
    if (cells.length !== names.length) {
      throw fail(`this row has ${cells.length} cells, expected ${names.length}, one for each name in the first row`);
    }
    const entries = names.map((name, i) => {
      const cell = cells[i]!;
      if (!JSON_COLUMNS.includes(name) && !isTurns(name, cell)) return [name, cell];
      if (cell.trim() === "") return [name, null];
      try {
        return [name, name === "tokens" || name.startsWith("weight") ? JSON.parse(cell) : parseJsonText(cell)];
      } catch (cause) {
        const why = (cause as Error).message;
        throw fail(`\`${name}\` is ${shortJson(cell)}, expected JSON in this column (${why})`, { cause });
      }
    });
    return Object.fromEntries(entries) as Readonly<Record<string, unknown>>;
  });
}
