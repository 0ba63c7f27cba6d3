import { parseObject } from "./json.ts";
import { type DataLine, dataLine } from "./line.ts";
import { checkLength } from "./text.ts";

/** The objects of JSON Lines, one at a time. Blank lines at the end are fine; one before that is a line without a value. */
export async function* readJsonLines(path: string, text: AsyncIterable<string>): AsyncGenerator<DataLine> {
  let number = 0;
  let blank = 0;
  for await (const line of splitLines(path, text)) {
    number++;
    if (line.trim() === "") {
      blank ||= number;
      continue;
    }
    if (blank > 0) {
      yield dataLine(path, blank, `:${blank}`, (fail) => {
        throw fail("this line is empty: take it out");
      });
      blank = 0;
    }
    yield lineOf(path, number, line);
  }
}

function lineOf(path: string, number: number, line: string): DataLine {
  return dataLine(path, number, `:${number}`, (fail) => parseObject(line, "line", fail));
}

/** The lines of a text, blank ones left out; those that begin as objects are read as such. */
export async function* readTextLines(path: string, text: AsyncIterable<string>): AsyncGenerator<DataLine | string> {
  let number = 0;
  for await (const line of splitLines(path, text)) {
    number++;
    if (line.trim() === "") continue;
    if (/^\s*\{\s*"/.test(line)) yield lineOf(path, number, line);
    else yield line.replace(/\r$/, "");
  }
}

/** Ends lines at \n alone, as JSON Lines do. */
async function* splitLines(path: string, text: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  let number = 1;
  for await (const chunk of text) {
    // Only the new piece is searched, so that a very long line costs no more than many short ones.
    const [first, ...more] = chunk.split("\n");
    rest += first;
    checkLength(rest.length, "line", path, number);
    number += more.length;
    for (const next of more) {
      yield rest;
      rest = next;
    }
  }
  if (rest !== "") yield rest;
}
