import { stringify } from "yaml";
import { wrapText } from "../common/wrap-text.ts";
import { alternatives, entriesOf, type Node, toTree } from "./json-schema.ts";
import { configSchema } from "./schema.ts";

/** The column of remarks. */
const REMARK_COLUMN = 36;
const WIDTH = 100;

/**
 * A complete configuration to copy, every key with its meaning, from the schema: the example of a key where it has
 * one, otherwise its default. Lines have at most 100 columns.
 */
export function exampleConfig(): string {
  return `${groupLines(toTree(configSchema), "").join("\n").trimStart()}\n`;
}

/** The keys of a group. */
function groupLines(group: Node, indent: string): string[] {
  return entriesOf(group).flatMap(([key, node]) => keyLines(key, node, indent));
}

function keyLines(key: string, node: Node, indent: string): string[] {
  const head = indent + key;
  const gap = indent === "" ? [""] : [];
  if (node.properties) return [...gap, ...remarked(`${head}:`, node), ...groupLines(node, `${indent}  `)];
  const [shown, ...others] = typeof node.items === "object" ? alternatives(node.items as Node) : [];
  if (shown?.properties) {
    const [first = "", ...more] = groupLines(shown, `${indent}    `);
    const known = new Set(entriesOf(shown).map(nameOf));
    return [
      ...gap,
      ...remarked(`${head}:`, node),
      first.replace("    ", "  - "),
      ...more,
      ...others.flatMap((other) => alternativeLines(other, known)),
    ];
  }
  const value = node.example ?? node.default ?? node.const ?? null;
  const written = stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trim();
  return [...gap, ...remarked(`${head}: ${written}`, node)];
}

/** A key with its whole node: kinds share a key if both are equal. */
function nameOf([key, node]: [string, Node]): string {
  return `${key}: ${JSON.stringify(node)}`;
}

/** Another kind of list entry, as a comment: what it has of its own, and what it shares with those before it. */
function alternativeLines(group: Node, known: Set<string>): string[] {
  const entries = entriesOf(group);
  const shared = entries.filter((entry) => known.has(nameOf(entry)));
  const own = entries.filter((entry) => !known.has(nameOf(entry)));
  for (const entry of own) known.add(nameOf(entry));
  const lines = own.flatMap(([key, node]) => keyLines(key, node, "  #   "));
  const above = `and, as above: ${shared.map(([key]) => key).join(", ")}`;
  for (const line of wrapText(above, WIDTH - "  #   ".length)) lines.push(`  #   ${line}`);
  return lines.map((line, i) => (i === 0 ? line.replace("  #   ", "  # - ") : line));
}

/** A key, and the remark beside and below it. */
function remarked(line: string, { description = "", variants = [] }: Node): string[] {
  const start = Math.max(line.length + 1, REMARK_COLUMN);
  const remark = [
    ...wrapText(description, WIDTH - REMARK_COLUMN - 2, start - REMARK_COLUMN),
    ...variants.flatMap(([usage, help]) => {
      const [first, ...more] = wrapText(`${usage}: ${help}`, WIDTH - REMARK_COLUMN - 6);
      return [`  ${first}`, ...more.map((text) => `    ${text}`)];
    }),
  ];
  // Below a line that is a comment all are.
  const below = (line.startsWith("  #") ? "  #" : "").padEnd(REMARK_COLUMN);
  const [first, ...more] = remark;
  return first === undefined ? [line] : [`${line.padEnd(start)}# ${first}`, ...more.map((text) => `${below}# ${text}`)];
}
