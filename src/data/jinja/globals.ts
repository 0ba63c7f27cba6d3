import { bind, toInt } from "../python/arguments.ts";
import { repr, str } from "../python/print.ts";
import { iterate, toList } from "../python/sequence.ts";
import {
  type Arguments,
  Attributes,
  Callable,
  Dict,
  PythonError,
  Range,
  Undefined,
  type Value,
} from "../python/values.ts";
import { strftime } from "./strftime.ts";

/** The most numbers that a range may have in Jinja2's sandbox. */
const MAX_RANGE = 100_000n;

/** The functions that every template may call. `now` is the time that `strftime_now` shows. */
export function templateGlobals(now: Date): ReadonlyMap<string, Value> {
  const functions: Record<string, (args: Arguments) => Value> = {
    cycler,
    dict: dictOf,
    joiner,
    namespace: (args) => namespaceOf(dictOf(args)),
    range: rangeOf,
    raise_exception: (args) => {
      throw new PythonError(str(bind("raise_exception", args, ["message"])[0] ?? ""));
    },
    strftime_now: (args) => strftime(now, str(bind("strftime_now", args, ["format"])[0] ?? "")),
  };
  return new Map(Object.entries(functions).map(([name, call]) => [name, new Callable(name, call)]));
}

/** The names of those functions. */
export const GLOBAL_NAMES: readonly string[] = [...templateGlobals(new Date(0)).keys()];

/** Names that Jinja2 defines and klamp does not. */
export const UNSUPPORTED_GLOBALS: readonly string[] = ["lipsum", "self", "super"];

function rangeOf({ positional, named }: Arguments): Range {
  if (named.size > 0) throw new PythonError("range() takes no keyword arguments");
  if (positional.length === 0 || positional.length > 3) throw new PythonError("range expected 1 to 3 arguments");
  const [first, second, by = 1n] = positional.map((value) => BigInt(toInt(value, 0)));
  if (by === 0n) throw new PythonError("range() arg 3 must not be zero");
  const [start, stop] = second === undefined ? [0n, first!] : [first!, second];
  const count = by > 0n ? (stop - start + by - 1n) / by : (start - stop - by - 1n) / -by;
  if (count > MAX_RANGE) throw new PythonError(`Range too big. The sandbox blocks ranges larger than ${MAX_RANGE}.`);
  return new Range(start, stop, by);
}

function dictOf({ positional: [entries], named }: Arguments): Dict {
  const dict = new Dict();
  if (entries instanceof Dict) for (const [key, value] of entries.entries()) dict.set(key, value);
  else if (entries !== undefined) {
    for (const entry of iterate(entries)) {
      const [key, value, ...more] = toList(entry);
      if (key === undefined || value === undefined || more.length > 0) throw new PythonError("a dict is made of pairs");
      dict.set(key, value);
    }
  }
  for (const [key, value] of named) dict.set(key, value);
  return dict;
}

function namespaceOf(names: Dict): Attributes {
  return new Attributes("Namespace", (name) => names.get(name), {
    set: (name, value) => names.set(name, value),
    show: () => `<Namespace ${repr(names)}>`,
  });
}

function joiner(args: Arguments): Attributes {
  const [separator = ", "] = bind("joiner", args, ["sep"]);
  let used = false;
  const call = () => {
    const result = used ? separator : "";
    used = true;
    return result;
  };
  return new Attributes("Joiner", () => undefined, { call });
}

function cycler({ positional }: Arguments): Attributes {
  if (positional.length === 0) throw new PythonError("at least one item has to be provided");
  let at = 0;
  const methods: Record<string, () => Value> = {
    next: () => positional[at++ % positional.length]!,
    reset: () => {
      at = 0;
      return null;
    },
  };
  const get = (name: string) => {
    if (name === "current") return positional[at % positional.length];
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    return method === undefined ? undefined : new Callable(name, method);
  };
  return new Attributes("Cycler", get);
}

/** Calls a value with arguments. */
export function callValue(value: Value, args: Arguments): Value {
  if (value instanceof Callable) return value.call(args);
  if (value instanceof Attributes && value.call !== undefined) return value.call(args);
  if (value instanceof Undefined) value.fail();
  throw new PythonError("the value is not callable");
}
