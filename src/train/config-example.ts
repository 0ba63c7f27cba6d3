import { stringify } from "yaml";
import { globalRegistry, type z } from "zod";
import { configSchema } from "./config.ts";
import { layers } from "./config-walk.ts";

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
  const def = (group as z.core.$ZodTypes)._zod.def;
  if (def.type !== "object") throw new TypeError(`expected the schema of a group, found one of type ${def.type}`);
  return Object.entries(def.shape).flatMap(([key, schema]) => keyLines(key, schema, indent));
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
  if (inner.type === "array") {
    const [first = "", ...more] = groupLines(inner.element, `${indent}    `);
    return [...gap, remarked(`${head}:`, remark), first.replace("    ", "  - "), ...more];
  }
  const value = stringify(example ?? defaultOf(wrapped), { collectionStyle: "flow", lineWidth: 0 }).trim();
  return [...gap, remarked(`${head}: ${value}`, remark)];
}

function remarked(line: string, remark: string): string {
  return remark === "" ? line : `${line.padEnd(REMARK_COLUMN - 1)} # ${remark}`;
}

function defaultOf(wrapped: readonly z.core.$ZodType[]): unknown {
  for (const layer of wrapped) {
    const { def } = (layer as z.core.$ZodTypes)._zod;
    if (def.type === "default") return def.defaultValue;
  }
  return null;
}
