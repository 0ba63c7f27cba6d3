import { equal } from "../python/compare.ts";
import { type Arguments, Attributes, Callable, PythonError, Tuple, Undefined, type Value } from "../python/values.ts";

/** Where a loop stands, as the name `loop` shows it. */
export class LoopState {
  readonly items: readonly Value[];
  readonly depth: number;
  index = 0;
  #changed: Value | undefined;

  constructor(items: readonly Value[], depth: number) {
    this.items = items;
    this.depth = depth;
  }

  /** The object that the template sees; `recurse` is what calling it does in a recursive loop. */
  context(recurse: ((args: Arguments) => Value) | undefined): Attributes {
    const call = recurse ?? (() => notRecursive());
    return new Attributes("LoopContext", (name) => this.#get(name), { call });
  }

  #get(name: string): Value | undefined {
    const { index, items } = this;
    switch (name) {
      case "index":
        return BigInt(index + 1);
      case "index0":
        return BigInt(index);
      case "revindex":
        return BigInt(items.length - index);
      case "revindex0":
        return BigInt(items.length - index - 1);
      case "first":
        return index === 0;
      case "last":
        return index === items.length - 1;
      case "length":
        return BigInt(items.length);
      case "depth":
        return BigInt(this.depth + 1);
      case "depth0":
        return BigInt(this.depth);
      case "previtem":
        return index === 0 ? new Undefined("there is no previous item") : items[index - 1]!;
      case "nextitem":
        return index + 1 === items.length ? new Undefined("there is no next item") : items[index + 1]!;
      case "cycle":
        return new Callable(name, ({ positional }) => this.#cycle(positional));
      case "changed":
        return new Callable(name, ({ positional }) => this.#hasChanged(new Tuple(positional)));
      default:
        return undefined;
    }
  }

  #cycle(values: readonly Value[]): Value {
    if (values.length === 0) throw new PythonError("no items for cycling given");
    return values[this.index % values.length]!;
  }

  #hasChanged(value: Value): boolean {
    const same = this.#changed !== undefined && equal(this.#changed, value);
    this.#changed = value;
    return !same;
  }
}

function notRecursive(): never {
  throw new PythonError("The loop must have the 'recursive' marker to be called recursively.");
}
