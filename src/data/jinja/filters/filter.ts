import { itemOf } from "../../python/lookup.ts";
import { str } from "../../python/print.ts";
import { type Arguments, Tuple, textOf, Undefined, type Value } from "../../python/values.ts";

/** What filters know of the others. */
export interface FilterContext {
  readonly filter: (name: string, value: Value, args: Arguments) => Value;
  readonly test: (name: string, value: Value, args: Arguments) => boolean;
}

export type Filter = (value: Value, args: Arguments, context: FilterContext) => Value;

/** How the argument `attribute` of many filters looks into items: `"a.b"`, `0`, or nothing for the item itself. */
export function attributeGetter(attribute: Value | undefined, otherwise?: Value): (item: Value) => Value {
  if (attribute === undefined || attribute === null) return (item) => item;
  const text = textOf(attribute);
  const keys: Value[] =
    text === undefined ? [attribute] : text.split(".").map((part) => (/^\d+$/.test(part) ? BigInt(part) : part));
  return (item) => {
    let value = item;
    for (const key of keys) {
      value = itemOf(value, key);
      if (value instanceof Undefined && otherwise !== undefined && otherwise !== null) value = otherwise;
    }
    return value;
  };
}

/** The same for several attributes between commas, whose values make a list. */
export function attributesGetter(attribute: Value | undefined): (item: Value) => Value {
  const text = textOf(attribute);
  if (text === undefined || !text.includes(",")) return attributeGetter(attribute);
  const getters = text.split(",").map((part) => attributeGetter(part));
  return (item) => new Tuple(getters.map((get) => get(item)));
}

/** Text in lower case where case does not count; other values as they are. */
export function comparable(value: Value, caseSensitive: boolean): Value {
  if (caseSensitive) return value;
  if (value instanceof Tuple) return new Tuple(value.items.map((item) => comparable(item, false)));
  return textOf(value) === undefined ? value : str(value).toLowerCase();
}
