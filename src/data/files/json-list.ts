import { UserError } from "../../common/errors.ts";
import { parseObject } from "./json.ts";
import { type DataLine, dataLine } from "./line.ts";
import { checkLength } from "./text.ts";

/** The objects of a file that is one JSON list, one at a time: only one is held in memory. */
export async function* readJsonList(path: string, text: AsyncIterable<string>): AsyncGenerator<DataLine> {
  let number = 0;
  for await (const { item, line } of splitItems(path, text)) {
    number++;
    yield dataLine(path, number, `:${line} (item ${number})`, (fail) => parseObject(item, "item", fail));
  }
}

interface Item {
  readonly item: string;
  /** The line of the file that it begins in. */
  readonly line: number;
}

/** The stretches between the commas of the outermost list, whatever they hold. */
async function* splitItems(path: string, text: AsyncIterable<string>): AsyncGenerator<Item> {
  let [depth, line, items] = [0, 1, 0];
  let [inString, escaped, closed] = [false, false, false];
  let item = "";
  /** The line of the item's first character; 0 before it. */
  let begin = 0;
  for await (const chunk of text) {
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const character = chunk[i]!;
      if (character === "\n") line++;
      if (inString) {
        if (escaped) escaped = false;
        else if (character === "\\") escaped = true;
        else if (character === '"') inString = false;
        continue;
      }
      if (character === " " || character === "\n" || character === "\r" || character === "\t") continue;
      if (closed)
        throw new UserError(`${path}:${line}: the file goes on after the end of its list: give one JSON list`);
      const ends = depth === 1 && (character === "," || character === "]");
      if (ends) {
        item += chunk.slice(from, i);
        from = i + 1;
        if (begin > 0 || items > 0 || character === ",") yield { item, line: begin || line };
        [item, begin] = ["", 0];
        items++;
        if (character === ",") continue;
      } else if (depth === 0) from = i + 1;
      else begin ||= line;
      if (character === '"') inString = true;
      else if (character === "[" || character === "{") depth++;
      else if (character === "]" || character === "}") depth--;
      closed = depth === 0;
    }
    item += chunk.slice(from);
    checkLength(item.length, "item", path, begin || line);
  }
  if (!closed) throw new UserError(`${path}: the file ends within its JSON list, at line ${line}: is it cut off?`);
}
