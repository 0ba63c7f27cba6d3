import { globalRegistry, type z } from "zod";

/** @file Finds the part of a schema that judges one place of a configuration. */

/** Keys and indices from the whole to a place in it. */
export type Path = readonly PropertyKey[];

/**
 * The schemas that may judge the value at `path`, without their wrappers; more than one where there are alternatives. With
 * `input`, the whole that the schema judges, alternatives that a key tells apart (`type`) are only those it names.
 */
export function schemasAt(schema: z.core.$ZodType, path: Path, input?: unknown): readonly z.core.$ZodType[] {
  let value = input;
  return path.reduce<z.core.$ZodType[]>(
    (at, key) => {
      value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
      return at.flatMap((one) => child(one, key)).flatMap((one) => unwrap(one, value));
    },
    unwrap(schema, value),
  );
}

/** The keys that objects of these schemas may have. */
export function validKeys(schemas: readonly z.core.$ZodType[]): string[] {
  const defs = schemas.map((schema) => (schema as z.core.$ZodTypes)._zod.def);
  return [...new Set(defs.flatMap((def) => (def.type === "object" ? Object.keys(def.shape) : [])))];
}

/** Whether what these schemas judge has keys, fixed or free. */
export function takesKeys(schemas: readonly z.core.$ZodType[]): boolean {
  return schemas.some((schema) => ["object", "record"].includes((schema as z.core.$ZodTypes)._zod.def.type));
}

/** Whether the schema is one of a file or folder. */
export function isPath(schema: z.core.$ZodType): boolean {
  return globalRegistry.get(schema)?.path === true;
}

/** A schema and what it wraps, outermost first: `default(nullable(number))` is three. */
export function layers(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  if (def.type === "pipe") return [schema, ...layers(def.in)];
  if (def.type === "default" || def.type === "prefault" || def.type === "nullable" || def.type === "optional") {
    return [schema, ...layers(def.innerType)];
  }
  return [schema];
}

/** The alternatives of a schema; itself, without its wrappers, if there are none. */
export function alternatives(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  const inner = layers(schema).at(-1)!;
  const def = (inner as z.core.$ZodTypes)._zod.def;
  return def.type === "union" ? def.options : [inner];
}

/** A schema without its wrappers; of a union the alternatives that a value may be meant for. */
function unwrap(schema: z.core.$ZodType, value: unknown): z.core.$ZodType[] {
  const inner = layers(schema).at(-1)!;
  const def = (inner as z.core.$ZodTypes)._zod.def;
  if (def.type !== "union") return [inner];
  const key = "discriminator" in def ? String(def.discriminator) : undefined;
  const named = def.options.filter((option) => {
    const values = key === undefined ? undefined : child(option, key)[0]?._zod.values;
    return values?.has((value as Record<string, string> | null | undefined)?.[key!]);
  });
  const meant = value === undefined || named.length === 0 ? def.options : named;
  return meant.flatMap((option) => unwrap(option, value));
}

function child(schema: z.core.$ZodType, key: PropertyKey): z.core.$ZodType[] {
  const def = (schema as z.core.$ZodTypes)._zod.def;
  if (def.type === "array") return [def.element];
  if (def.type === "tuple") return [def.items[Number(key)]].filter((one) => one !== undefined);
  if (def.type === "record") return [def.valueType];
  if (def.type === "object") return Object.hasOwn(def.shape, key) ? [def.shape[String(key)]!] : [];
  return [];
}
