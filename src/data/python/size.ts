import { PythonError } from "./values.ts";

/** @file How large a single value of a template may be: what is larger was not meant, and would fill the memory. */

const MOST_CHARACTERS = 1 << 24;
const MOST_ITEMS = 1 << 20;

/** `text` so many times. @throws PythonError for a text of more characters than are held. */
export function repeatText(text: string, times: number): string {
  return checkText(text.length * times) && text.repeat(Math.max(0, times));
}

/** @throws PythonError for so many characters. */
export function checkText(characters: number): true {
  if (characters <= MOST_CHARACTERS) return true;
  throw new PythonError(`a text of more than ${MOST_CHARACTERS} characters does not fit in memory`);
}

/** @throws PythonError for so many items. */
export function checkItems(count: number): number {
  if (count <= MOST_ITEMS) return count;
  throw new PythonError(`a list of more than ${MOST_ITEMS} items does not fit in memory`);
}
