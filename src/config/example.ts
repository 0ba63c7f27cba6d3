import { stringify } from "yaml";
import { globalRegistry, type z } from "zod";
import { configSchema } from "./schema.ts";
import { alternatives, layers } from "./walk.ts";

/** Where the remark after a key begins. */
const REMARK_COLUMN = 36;

/**
 * A complete configuration to copy, every key with its meaning, written from the schema: the example of a key where it
 * has one, otherwise its default.
 */
export function exampleConfig(): string {
  return `${groupLines(configSchema, "").join("\n").trimStart()}\n`;
}

/** The keys of a group, a line each. */
function groupLines(group: z.core.$ZodType, indent: string): string[] {
  return keys(group).flatMap(([key, schema]) => keyLines(key, schema, indent));
}

function keys(group: z.core.$ZodType): [string, z.core.$ZodType][] {
  const def = (group as z.core.$ZodTypes)._zod.def;
  if (def.type !== "object") throw new TypeError(`expected the schema of a group, found one of type ${def.type}`);
  return Object.entries(def.shape);
}

/** Another kind of list entry, as a comment: what it has of its own, and what it shares with those before it. */
function alternativeLines(group: z.core.$ZodType, known: Set<z.core.$ZodType>): string[] {
  const own = keys(group).filter(([, schema]) => !known.has(schema));
  const shared = keys(group).filter(([, schema]) => known.has(schema));
  for (const [, schema] of own) known.add(schema);
  const lines = own.flatMap(([key, schema]) => keyLines(key, schema, "  #   "));
  lines.push(`  #   and, as above: ${shared.map(([key]) => key).join(", ")}`);
  return lines.map((line, i) => (i === 0 ? line.replace("  #   ", "  # - ") : line));
}

function keyLines(key: string, schema: z.core.$ZodType, indent: string): string[] {
  const wrapped = layers(schema);
  const notes = wrapped.map((layer) => globalRegistry.get(layer));
  const remark = notes.find((note) => note?.description)?.description ?? "";
  const example = notes.find((note) => note?.example !== undefined)?.example;
  const inner = (wrapped.at(-1) as z.core.$ZodTypes)._zod.def;
  const head = indent + key;
  const gap = indent === "" ? [""] : [];
  if (inner.type === "object")
    return [...gap, remarked(`${head}:`, remark), ...groupLines(wrapped.at(-1)!, `${indent}  `)];
  const [shown, ...others] = inner.type === "array" ? alternatives(inner.element) : [];
  if (shown && isGroup(shown)) {
    const [first = "", ...more] = groupLines(shown, `${indent}    `);
    const known = new Set(keys(shown).map(([, schema]) => schema));
    return [
      ...gap,
      remarked(`${head}:`, remark),
      first.replace("    ", "  - "),
      ...more,
      ...others.flatMap((other) => alternativeLines(other, known)),
    ];
  }
  const value = stringify(example ?? defaultOf(wrapped), { collectionStyle: "flow", lineWidth: 0 }).trim();
  return [...gap, remarked(`${head}: ${value}`, remark)];
}

function isGroup(schema: z.core.$ZodType): boolean {
  return (schema as z.core.$ZodTypes)._zod.def.type === "object";
}

function remarked(line: string, remark: string): string {
  return remark === "" ? line : `${line.padEnd(REMARK_COLUMN - 1)} # ${remark}`;
}

function defaultOf(wrapped: readonly z.core.$ZodType[]): unknown {
  for (const layer of wrapped) {
    const { def } = (layer as z.core.$ZodTypes)._zod;
    if (def.type === "default") return def.defaultValue;
    if (def.type === "literal") return def.values[0];
  }
  return null;
}
