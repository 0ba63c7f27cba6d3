import { Undefined, type Value } from "../python/values.ts";
import type { Run } from "./run.ts";

/** The names that a part of a template sees: its own, then those around it. */
export class Scope {
  readonly run: Run;
  readonly #parent: Scope | null;
  readonly #names = new Map<string, Value>();

  constructor(run: Run, parent: Scope | null = null) {
    this.run = run;
    this.#parent = parent;
  }
  inner(): Scope {
    return new Scope(this.run, this);
  }
  set(name: string, value: Value): void {
    this.#names.set(name, value);
  }
  findOwn(name: string): Value | undefined {
    return this.#names.get(name);
  }
  find(name: string): Value | undefined {
    const own = this.#names.get(name);
    return own === undefined ? this.#parent?.find(name) : own;
  }
  get(name: string): Value {
    const found = this.find(name);
    return found === undefined ? new Undefined(() => `'${name}' is undefined`) : found;
  }
}
