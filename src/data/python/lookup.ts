import { bind, toInt } from "./arguments.ts";
import { equal } from "./compare.ts";
import { repr } from "./print.ts";
import { lengthOf, slicePositions } from "./sequence.ts";
import { strFormat } from "./str-format.ts";
import { stringMethods } from "./string-methods.ts";
import { characters } from "./text.ts";
import {
  type Arguments,
  Attributes,
  Callable,
  Dict,
  Markup,
  PythonError,
  Range,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

/** `value.name` in a template: an attribute or method, else the item of that key, else undefined. */
export function attributeOf(value: Value, name: string): Value {
  if (value instanceof Undefined) value.fail();
  const own = ownAttribute(value, name);
  if (own !== undefined) return own;
  const item = itemIfAny(value, name);
  return item === undefined ? missing(value, name) : item;
}

/** `value[key]` in a template: the item, else the attribute of that name, else undefined. */
export function itemOf(value: Value, key: Value): Value {
  if (value instanceof Undefined) value.fail();
  const item = itemIfAny(value, key);
  if (item !== undefined) return item;
  const name = textOf(key);
  const own = name === undefined ? undefined : ownAttribute(value, name);
  return own === undefined ? missing(value, key) : own;
}

/** `value[start:stop:step]`. */
export function sliceOf(value: Value, start: Value, stop: Value, step: Value): Value {
  if (value instanceof Undefined) value.fail();
  const pick = <Item>(items: readonly Item[]): Item[] =>
    Array.from(slicePositions(items.length, start, stop, step), (i) => items[i]!);
  const text = textOf(value);
  if (text !== undefined) {
    const part = pick(characters(text)).join("");
    return value instanceof Markup ? new Markup(part) : part;
  }
  if (Array.isArray(value)) return pick(value);
  if (value instanceof Tuple) return new Tuple(pick(value.items));
  if (value instanceof Range) {
    const positions = [...slicePositions(value.items.length, start, stop, step)];
    const by = value.step * (step === null ? 1n : BigInt(step as bigint));
    const first = value.start + value.step * BigInt(positions[0] ?? 0);
    return new Range(first, first + by * BigInt(positions.length), by);
  }
  throw new PythonError(`${describe(value)} is not subscriptable`);
}

/** The attribute that Python's `getattr` finds, as far as templates may see it. */
export function ownAttribute(value: Value, name: string): Value | undefined {
  if (typeof value === "string" || value instanceof Markup) return stringMethod(value, name);
  if (value instanceof Attributes) return value.get(name);
  if (value instanceof Callable) return value.attributes.get(name);
  if (value instanceof Tuple && value.names.includes(name)) return value.items[value.names.indexOf(name)];
  const method =
    value instanceof Dict
      ? dictMethods[name]
      : Array.isArray(value) || value instanceof Tuple
        ? listMethods[name]
        : undefined;
  if (method !== undefined && Object.hasOwn(value instanceof Dict ? dictMethods : listMethods, name)) {
    return new Callable(name, (args) => method(value as never, args));
  }
  const changes = value instanceof Dict ? DICT_CHANGES : Array.isArray(value) ? LIST_CHANGES : [];
  if (!changes.includes(name)) return undefined;
  return new Callable(name, () => {
    throw new PythonError(`access to attribute '${name}' of '${typeName(value)}' object is unsafe.`);
  });
}

const DICT_CHANGES = ["clear", "pop", "popitem", "setdefault", "update"];
const LIST_CHANGES = ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];

const dictMethods: Readonly<Record<string, (dict: Dict, args: Arguments) => Value>> = {
  items: (dict) =>
    new View(
      "dict_items",
      dict.entries().map((entry) => new Tuple(entry)),
    ),
  keys: (dict) => new View("dict_keys", dict.keys()),
  values: (dict) => new View("dict_values", dict.values()),
  copy: (dict) => new Dict(dict.entries()),
  get: (dict, args) => {
    const [key, otherwise = null] = bind("get", args, ["key", "default"]);
    if (key === undefined) throw new PythonError("get expected at least 1 argument, got 0");
    const found = dict.get(key);
    return found === undefined ? otherwise : found;
  },
};

const listMethods: Readonly<Record<string, (list: Value[] | Tuple, args: Arguments) => Value>> = {
  copy: (list) => [...itemsOf(list)],
  count: (list, args) => BigInt(itemsOf(list).filter((item) => equal(item, bind("count", args, ["value"])[0]!)).length),
  index: (list, args) => {
    const [sought, start] = bind("index", args, ["value", "start"]);
    const from = toInt(start, 0);
    const at = itemsOf(list).findIndex((item, i) => i >= from && equal(item, sought!));
    if (at === -1) throw new PythonError(`${repr(sought!)} is not in list`);
    return BigInt(at);
  },
};

function itemsOf(list: Value[] | Tuple): readonly Value[] {
  return Array.isArray(list) ? list : list.items;
}

function stringMethod(value: string | Markup, name: string): Value | undefined {
  const text = textOf(value)!;
  const again = (result: Value) =>
    value instanceof Markup && typeof result === "string" ? new Markup(result) : result;
  if (name === "format") {
    const lookup = (of: Value, key: Value, isAttribute: boolean) =>
      isAttribute ? attributeOf(of, textOf(key)!) : itemOf(of, key);
    return new Callable(name, (args) => again(strFormat(text, args, lookup)));
  }
  if (!Object.hasOwn(stringMethods, name)) return undefined;
  const method = stringMethods[name]!;
  return new Callable(name, (args) => {
    if (method.length === 1) bind(name, args, []);
    return again(method(text, args));
  });
}

function itemIfAny(value: Value, key: Value): Value | undefined {
  if (value instanceof Dict) return value.get(key);
  if (typeof key !== "bigint" && typeof key !== "boolean") return undefined;
  const at = Number(key);
  if (Array.isArray(value)) return value.at(at);
  if (value instanceof Tuple || value instanceof Range) return value.items.at(at);
  const text = textOf(value);
  return text === undefined ? undefined : characters(text).at(at);
}

function missing(value: Value, key: Value): Undefined {
  // Told only if it is used: templates ask for many keys that are not there.
  const kind = typeof key === "bigint" ? "element" : "attribute";
  return new Undefined(() => `${describe(value)} has no ${kind} ${repr(key)}`);
}

function describe(value: Value): string {
  if (value === null) return "None";
  const size = Array.isArray(value) || textOf(value) !== undefined ? ` of length ${lengthOf(value)}` : "";
  return `'${typeName(value)} object'${size}`;
}
