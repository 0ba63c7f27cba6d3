import { PythonFloat } from "./python/float.ts";

/** The most characters of a value that a message shows. */
const MOST = 40;

/** A value as JSON, for a message: shortened, whatever its size and depth; `missing` for undefined. */
export function shortJson(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "number") return String(value);
  const json = begin(value);
  return json.length > MOST ? `${json.slice(0, MOST - 3).replace(/\p{Surrogate}$/u, "")}…` : json;
}

/** The begin of a value's JSON: a little more than is shown, so each list that is gone into adds to what there is. */
function begin(value: unknown): string {
  let json = "";
  const write = (each: unknown): void => {
    if (json.length > MOST) return;
    if (Array.isArray(each)) writeAll("[", each.values(), (item) => write(item), "]");
    else if (typeof each === "object" && each !== null && !(each instanceof PythonFloat)) {
      const entry = ([key, below]: [string, unknown]) => {
        json += `${JSON.stringify(key.slice(0, MOST))}:`;
        write(below);
      };
      writeAll("{", Object.entries(each).values(), entry, "}");
    } else json += scalar(each);
  };
  const writeAll = <Item>(open: string, items: Iterable<Item>, each: (item: Item) => void, close: string) => {
    json += open;
    let separator = "";
    for (const item of items) {
      json += separator;
      each(item);
      separator = ",";
      if (json.length > MOST) return;
    }
    json += close;
  };
  write(value);
  return json;
}

function scalar(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 2 * MOST));
  if (typeof value === "bigint" || value instanceof PythonFloat) return String(value);
  return JSON.stringify(value) ?? String(value);
}
