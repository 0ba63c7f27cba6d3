/**
 * A value of a template. None is null, an int a bigint, a float a number, a list an array; what JavaScript has no
 * likeness of is a class here.
 */
export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Value[]
  | Tuple
  | Dict
  | View
  | Range
  | Iterator
  | Markup
  | Undefined
  | Callable
  | Attributes;

/** What Python or Jinja raise while a template is rendered. */
export class PythonError extends Error {}

/** A tuple; its items may have names. */
export class Tuple {
  readonly items: readonly Value[];
  readonly names: readonly string[];
  constructor(items: readonly Value[], names: readonly string[] = []) {
    this.items = items;
    this.names = names;
  }
}

/** A dict, in the order in which its keys were first set. */
export class Dict {
  readonly #entries = new Map<unknown, readonly [Value, Value]>();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }
  get size(): number {
    return this.#entries.size;
  }
  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1];
  }
  has(key: Value): boolean {
    return this.#entries.has(hashOf(key));
  }
  set(key: Value, value: Value): void {
    const hash = hashOf(key);
    const held = this.#entries.get(hash);
    this.#entries.set(hash, [held === undefined ? key : held[0], value]);
  }
  keys(): Value[] {
    return this.entries().map(([key]) => key);
  }
  values(): Value[] {
    return this.entries().map(([, value]) => value);
  }
  entries(): (readonly [Value, Value])[] {
    return [...this.#entries.values()];
  }
}

/** What `items()`, `keys()` and `values()` of a dict return. */
export class View {
  readonly kind: "dict_items" | "dict_keys" | "dict_values";
  readonly items: readonly Value[];
  constructor(kind: View["kind"], items: readonly Value[]) {
    this.kind = kind;
    this.items = items;
  }
}

export class Range {
  readonly start: bigint;
  readonly stop: bigint;
  readonly step: bigint;
  constructor(start: bigint, stop: bigint, step: bigint) {
    this.start = start;
    this.stop = stop;
    this.step = step;
  }
  get items(): Value[] {
    const items: Value[] = [];
    for (let i = this.start; this.step > 0n ? i < this.stop : i > this.stop; i += this.step) items.push(i);
    return items;
  }
}

/** A generator: it can be gone through once, and has no length. */
export class Iterator {
  readonly #rest: globalThis.Iterator<Value>;
  constructor(values: Iterable<Value>) {
    this.#rest = values[Symbol.iterator]();
  }
  next(): Value | undefined {
    const { done, value } = this.#rest.next();
    return done === true ? undefined : value;
  }
  *[Symbol.iterator](): Generator<Value> {
    for (let value = this.next(); value !== undefined; value = this.next()) yield value;
  }
}

/** Text that is marked as safe to show in HTML; text that is added to it is escaped. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** What a name, key or attribute stands for that is not there: empty when printed, refused in most other uses. */
export class Undefined {
  readonly #reason: () => string;
  constructor(reason: string | (() => string)) {
    this.#reason = typeof reason === "string" ? () => reason : reason;
  }
  fail(): never {
    throw new PythonError(this.#reason());
  }
}

export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/** A function, macro, method, or what else can be called. */
export class Callable {
  readonly name: string;
  readonly call: (args: Arguments) => Value;
  readonly attributes: ReadonlyMap<string, Value>;
  constructor(name: string, call: (args: Arguments) => Value, attributes: ReadonlyMap<string, Value> = new Map()) {
    this.name = name;
    this.call = call;
    this.attributes = attributes;
  }
}

/** An object that has attributes alone: a namespace, or the `loop` of a for. */
export class Attributes {
  readonly kind: string;
  readonly get: (name: string) => Value | undefined;
  readonly set: ((name: string, value: Value) => void) | undefined;
  readonly call: ((args: Arguments) => Value) | undefined;
  /** What is printed of it, where that does not change from run to run. */
  readonly show: (() => string) | undefined;
  constructor(
    kind: string,
    get: (name: string) => Value | undefined,
    { set, call, show }: { set?: Attributes["set"]; call?: Attributes["call"]; show?: Attributes["show"] } = {},
  ) {
    this.kind = kind;
    this.get = get;
    this.set = set;
    this.call = call;
    this.show = show;
  }
}

/** Keys that are equal in Python (1, 1.0, True) have one hash. */
function hashOf(key: Value): unknown {
  if (typeof key === "string" || typeof key === "bigint" || key === null) return key;
  if (typeof key === "boolean") return key ? 1n : 0n;
  if (typeof key === "number") return Number.isInteger(key) ? BigInt(key) : key;
  if (key instanceof Markup) return key.text;
  if (key instanceof Tuple)
    return `\0tuple ${key.items.map((item) => `${typeof item} ${String(hashOf(item))}`).join()}`;
  if (Array.isArray(key) || key instanceof Dict || key instanceof View)
    throw new PythonError(`unhashable type: '${typeName(key)}'`);
  return key;
}

/** What Python calls the type of a value. */
export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return "float";
  if (typeof value === "string") return "str";
  if (Array.isArray(value)) return "list";
  if (value instanceof View) return value.kind;
  if (value instanceof Attributes) return value.kind;
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Iterator) return "generator";
  if (value instanceof Callable) return "function";
  return value.constructor.name.toLowerCase();
}

/** The text of a str or Markup; undefined for other values. */
export function textOf(value: Value | undefined): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Markup ? value.text : undefined;
}
