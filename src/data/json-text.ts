import { parsePythonJson } from "./python-json.ts";
import { shortJson } from "./short-json.ts";

/**
 * JSON that stands in a text or a cell of a line, read as strictly as the line itself.
 *
 * @throws SyntaxError for text that is none, and for a key that an object has twice.
 */
export function parseJsonText(text: string): unknown {
  return parsePythonJson(text, {
    onDoubledKey: (key) => {
      throw new SyntaxError(`the key ${shortJson(key)} is there twice in one object, and only one can count`);
    },
  });
}
