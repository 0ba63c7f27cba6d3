import { bind, toInt } from "../../python/arguments.ts";
import { equal, order } from "../../python/compare.ts";
import { str } from "../../python/print.ts";
import { isTrue, iterate, lengthOf, toList } from "../../python/sequence.ts";
import { checkItems } from "../../python/size.ts";
import { characters } from "../../python/text.ts";
import {
  type Arguments,
  Dict,
  Iterator,
  PythonError,
  Tuple,
  textOf,
  Undefined,
  type Value,
} from "../../python/values.ts";
import { attributeGetter, attributesGetter, comparable, type Filter } from "./filter.ts";

/** Filters that take what is in a list, or make a list of it. */
export const listFilters: Readonly<Record<string, Filter>> = {
  batch: (value, args) => {
    const [size, fill = null] = bind("batch", args, ["linecount", "fill_with"]);
    const rows = rowsOf(toList(value), toInt(size, 0));
    if (fill !== null) for (const row of rows) while (row.length < checkItems(toInt(size, 0))) row.push(fill);
    return new Iterator(rows);
  },
  count: (value) => BigInt(lengthOf(value)),
  dictsort: (value, args) => {
    const [sensitive = false, by = "key", reverse = false] = bind("dictsort", args, [
      "case_sensitive",
      "by",
      "reverse",
    ]);
    if (by !== "key" && by !== "value") throw new PythonError('You can only sort by either "key" or "value"');
    if (!(value instanceof Dict)) throw new PythonError("dictsort takes a dict");
    const at = by === "key" ? 0 : 1;
    const sorted = sort(value.entries(), (entry) => comparable(entry[at], isTrue(sensitive)), isTrue(reverse));
    return sorted.map((entry) => new Tuple(entry));
  },
  first: (value) => {
    for (const item of iterate(value)) return item;
    return new Undefined("No first item, sequence was empty.");
  },
  groupby: (value, args) => {
    const parameters = ["attribute", "default", "case_sensitive"];
    const [attribute, otherwise, sensitive = false] = bind("groupby", args, parameters);
    const get = attributeGetter(attribute, otherwise);
    const key = (item: Value) => comparable(get(item), isTrue(sensitive));
    const groups: { key: Value; items: Value[] }[] = [];
    for (const item of sort(toList(value), key, false)) {
      const last = groups.at(-1);
      if (last !== undefined && equal(last.key, key(item))) last.items.push(item);
      else groups.push({ key: key(item), items: [item] });
    }
    return groups.map(({ items }) => new Tuple([get(items[0]!), items], ["grouper", "list"]));
  },
  items: (value) => {
    if (value instanceof Undefined) return new Iterator([]);
    if (!(value instanceof Dict)) throw new PythonError("Can only get item pairs from a mapping.");
    return new Iterator(value.entries().map((entry) => new Tuple(entry)));
  },
  join: (value, args) => {
    const [between = "", attribute] = bind("join", args, ["d", "attribute"]);
    return [...iterate(value)].map(attributeGetter(attribute)).map(str).join(str(between));
  },
  last: (value) => {
    if (value instanceof Iterator) throw new PythonError("'generator' object is not reversible");
    const last = toList(value).at(-1);
    return last === undefined ? new Undefined("No last item, sequence was empty.") : last;
  },
  length: (value) => BigInt(lengthOf(value)),
  list: (value) => toList(value),
  max: (value, args) => extreme("max", value, args, 1),
  min: (value, args) => extreme("min", value, args, -1),
  reverse: (value) => {
    const text = textOf(value);
    if (text !== undefined) return characters(text).toReversed().join("");
    return new Iterator(toList(value).toReversed());
  },
  slice: (value, args) => {
    const [count, fill = null] = bind("slice", args, ["slices", "fill_with"]);
    return new Iterator(slices(toList(value), toInt(count, 1), fill));
  },
  sort: (value, args) => {
    const [reverse = false, sensitive = false, attribute] = bind("sort", args, [
      "reverse",
      "case_sensitive",
      "attribute",
    ]);
    const get = attributesGetter(attribute);
    return sort(toList(value), (item) => comparable(get(item), isTrue(sensitive)), isTrue(reverse));
  },
  unique: (value, args) => {
    const [sensitive = false, attribute] = bind("unique", args, ["case_sensitive", "attribute"]);
    const get = attributeGetter(attribute);
    const seen = new Dict();
    const isNew = (item: Value) => {
      const found = comparable(get(item), isTrue(sensitive));
      const key = found instanceof Undefined ? NOTHING : found;
      if (seen.has(key)) return false;
      seen.set(key, true);
      return true;
    };
    return new Iterator(toList(value).filter(isNew));
  },
};

/** All that is undefined counts as one. */
const NOTHING = new Undefined("nothing");

function sort<Item>(items: readonly Item[], key: (item: Item) => Value, reverse: boolean): Item[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  keyed.sort((a, b) => (reverse ? order(b.key, a.key) : order(a.key, b.key)));
  return keyed.map(({ item }) => item);
}

function extreme(name: string, value: Value, args: Arguments, sign: 1 | -1): Value {
  const [sensitive = false, attribute] = bind(name, args, ["case_sensitive", "attribute"]);
  const get = attributeGetter(attribute);
  let best: { item: Value; key: Value } | undefined;
  for (const item of iterate(value)) {
    const key = comparable(get(item), isTrue(sensitive));
    if (best === undefined || order(key, best.key) * sign > 0) best = { item, key };
  }
  return best === undefined ? new Undefined("No aggregated item, sequence was empty.") : best.item;
}

function rowsOf(items: readonly Value[], size: number): Value[][] {
  const rows: Value[][] = [];
  for (const item of items) {
    if (rows.length === 0 || rows.at(-1)!.length === size) rows.push([]);
    rows.at(-1)!.push(item);
  }
  return rows;
}

/** `count` lists of nearly equal length; the first ones are the longer ones, the others get `fill`. */
function slices(items: readonly Value[], count: number, fill: Value): Value[][] {
  const each = Math.floor(items.length / count);
  const longer = items.length % count;
  let at = 0;
  return Array.from({ length: checkItems(count) }, (_, i) => {
    const end = at + each + (i < longer ? 1 : 0);
    const part = items.slice(at, end);
    at = end;
    return fill !== null && i >= longer ? [...part, fill] : part;
  });
}
