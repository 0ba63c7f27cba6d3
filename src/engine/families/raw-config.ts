import { UserError } from "../../common/errors.ts";

/** More than any model has. */
export const MOST_LAYERS = 10_000;
/** Its least normal number, and its greatest. */
const FLOAT32 = [1.1754943508222875e-38, 3.4028234663852886e38] as const;

/** A value of a file of JSON, for a message. */
export function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? "nothing";
  return json.length > 100 ? `${json.slice(0, 99)}…` : json;
}

/** The parsed contents of a `config.json`, read key by key. */
export class RawConfig {
  /** For messages. */
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>, path: string) {
    this.values = values;
    this.path = path;
  }

  get architecture(): string {
    return String((this.values.architectures as unknown[] | undefined)?.[0] ?? this.values.model_type ?? "none");
  }

  /** A number above 0, within float32's. @throws UserError for anything else, and for none without a default. */
  number(key: string, fallback?: number, [least, most]: readonly [number, number] = FLOAT32): number {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "number" || !(value > 0)) throw this.#unlike(key, "a positive number");
    if (value >= least && value <= most) return value;
    throw this.#unlike(key, `a number from ${least} to ${most}`);
  }

  /** A whole number above 0, at most `most`. @throws UserError for anything else, and for none without a default. */
  count(key: string, fallback?: number, most = 2 ** 31 - 1): number {
    const value = this.number(key, fallback);
    if (!Number.isInteger(value)) throw this.#unlike(key, "a whole number");
    if (value <= most) return value;
    throw this.#unlike(key, `a whole number of at most ${most.toLocaleString("en")}`);
  }

  #unlike(key: string, expected: string): UserError {
    const value = this.values[key];
    return new UserError(`${this.path} has ${shown(value)} for ${key}; ${expected} is expected.`);
  }

  /** True or false. @throws UserError for anything else. */
  flag(key: string, fallback: boolean): boolean {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "boolean") {
      throw new UserError(`${this.path} has ${shown(value)} for ${key}; true or false is expected.`);
    }
    return value;
  }

  /** An object of settings inside, if there is one. @throws UserError for what is none. */
  part(key: string): RawConfig | undefined {
    const value = this.values[key] ?? undefined;
    if (value === undefined) return undefined;
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new UserError(`${this.path} has ${shown(value)} for ${key}; an object is expected.`);
    }
    return new RawConfig(value as Record<string, unknown>, this.path);
  }

  /** One text for each layer. @throws UserError for anything else. */
  perLayer(key: string, fallback: (layer: number) => string): readonly string[] {
    const layers = this.count("num_hidden_layers", undefined, MOST_LAYERS);
    const value = this.values[key] ?? Array.from({ length: layers }, (_, layer) => fallback(layer));
    if (!Array.isArray(value) || value.length !== layers || value.some((each) => typeof each !== "string")) {
      throw new UserError(
        `${this.path} has ${shown(value)} for ${key}; one name for each of ${layers} layers is expected.`,
      );
    }
    return value;
  }

  /** @throws UserError always: for a variant that would silently be another model. */
  refuse(what: string): never {
    throw new UserError(
      `${this.path} asks for ${what}, which klamp's local engine does not support yet; use a checkpoint without it.`,
    );
  }

  /** @throws UserError when the MLP's activation is another than the family's graph computes. */
  activation(key: string, expected: string): void {
    const found = this.values[key] ?? expected;
    if (found !== expected) this.refuse(`${key} ${shown(found)}`);
  }
}
