import { UserError } from "../../common/errors.ts";
import { readCsv } from "./csv.ts";
import { findFiles } from "./find.ts";
import { readJsonLines, readTextLines } from "./json-lines.ts";
import { readJsonList } from "./json-list.ts";
import type { DataLine } from "./line.ts";
import { PARQUET, readParquet } from "./parquet.ts";
import { beginsWith, readHead, readText } from "./text.ts";

export type { DataLine } from "./line.ts";

/**
 * The lines of a file of data, or of all files that fit a pattern: JSON Lines, one JSON list, CSV (`.csv`, or `.tsv` with
 * tabs), each also in gzip, and Parquet. All but CSV are told by their content. Only what is read at a time is held in
 * memory.
 *
 * @throws UserError for a file that cannot be read or has no lines; a single line that is wrong tells so when it is asked.
 */
export function readData(path: string): AsyncGenerator<DataLine> {
  return readFiles(path, readJsonLines);
}

/** The same, where a file that begins as none of these is plain text, a line each, of which some may be objects. */
export function readTextOrData(path: string): AsyncGenerator<DataLine | string> {
  return readFiles<DataLine | string>(path, readTextLines);
}

/** Reads what begins as no other form does. */
type ReadOther<Line> = (path: string, text: AsyncIterable<string>) => AsyncIterable<Line | DataLine>;

async function* readFiles<Line>(path: string, readOther: ReadOther<Line>): AsyncGenerator<Line | DataLine> {
  for (const file of await findFiles(path)) {
    let isEmpty = true;
    for await (const line of await readFile(file, readOther)) {
      isEmpty = false;
      yield line;
    }
    if (isEmpty) throw new UserError(`${file}: the file is empty: expected JSON Lines, one example a line`);
  }
}

async function readFile<Line>(path: string, readOther: ReadOther<Line>): Promise<AsyncIterable<Line | DataLine>> {
  const head = await readHead(path);
  if (beginsWith(head, PARQUET)) return readParquet(path);
  const text = readText(path, head);
  const [, table] = /\.(csv|tsv)(\.gz)?$/i.exec(path) ?? [];
  if (table !== undefined) return readCsv(path, text, table.toLowerCase() === "tsv" ? "\t" : ",");
  const { begin, whole } = await peek(text);
  if (begin.startsWith("PAR1")) {
    throw new UserError(`cannot read ${path}: it is Parquet within gzip: unpack it, Parquet is compressed by itself`);
  }
  if (begin.startsWith("version https://git-lfs.")) {
    throw new UserError(
      `cannot read ${path}: it is a pointer of Git LFS, not the data: fetch that with \`git lfs pull\``,
    );
  }
  if (/^\{[ \t\r]*\n/.test(begin)) {
    throw new UserError(`${path}: its objects go over several lines: write each in one line, or all as one JSON list`);
  }
  if (begin.startsWith("{")) return readJsonLines(path, whole);
  // A text may begin with a bracket too, as in [INST].
  return /^\[\s*(["{[\]]|$)/.test(begin) ? readJsonList(path, whole) : readOther(path, whole);
}

/** The first text that is no white space, and all of it again. */
async function peek(text: AsyncGenerator<string>): Promise<{ begin: string; whole: AsyncIterable<string> }> {
  const read: string[] = [];
  let begin = "";
  while (begin === "") {
    const { value, done } = await text.next();
    if (done) break;
    read.push(value);
    begin = value.trimStart();
  }
  const whole = async function* () {
    yield* read;
    yield* text;
  };
  return { begin, whole: whole() };
}
