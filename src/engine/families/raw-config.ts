import { UserError } from "../../common/errors.ts";

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

  /** A number above 0. @throws UserError for anything else, and for none without a default. */
  number(key: string, fallback?: number): number {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "number" || !(value > 0)) {
      throw new UserError(
        `${this.path} has ${JSON.stringify(this.values[key])} for ${key}; a positive number is expected.`,
      );
    }
    return value;
  }

  /** A whole number above 0. @throws UserError for anything else, and for none without a default. */
  count(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    if (!Number.isSafeInteger(value)) {
      throw new UserError(`${this.path} has ${JSON.stringify(value)} for ${key}; a whole number is expected.`);
    }
    return value;
  }

  /** True or false. @throws UserError for anything else. */
  flag(key: string, fallback: boolean): boolean {
    const value = this.values[key] ?? fallback;
    if (typeof value !== "boolean") {
      throw new UserError(`${this.path} has ${JSON.stringify(value)} for ${key}; true or false is expected.`);
    }
    return value;
  }

  /** An object of settings inside, if there is one. @throws UserError for what is none. */
  part(key: string): RawConfig | undefined {
    const value = this.values[key] ?? undefined;
    if (value === undefined) return undefined;
    if (typeof value !== "object" || Array.isArray(value)) {
      throw new UserError(`${this.path} has ${JSON.stringify(value)} for ${key}; an object is expected.`);
    }
    return new RawConfig(value as Record<string, unknown>, this.path);
  }

  /** One text for each layer. @throws UserError for anything else. */
  perLayer(key: string, fallback: (layer: number) => string): readonly string[] {
    const layers = this.count("num_hidden_layers");
    const value = this.values[key] ?? Array.from({ length: layers }, (_, layer) => fallback(layer));
    if (!Array.isArray(value) || value.length !== layers || value.some((each) => typeof each !== "string")) {
      throw new UserError(
        `${this.path} has ${JSON.stringify(value)} for ${key}; one name for each of ${layers} layers is expected.`,
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
    if (found !== expected) this.refuse(`${key} ${JSON.stringify(found)}`);
  }
}
