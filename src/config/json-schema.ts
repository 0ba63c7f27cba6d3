import { z } from "zod";

/** @file A schema as JSON Schema, and the part of it that validates one place of a configuration. */

/** Keys and indices from the whole to a place in it. */
export type Path = readonly PropertyKey[];

/** Whether a place is `above`, or below it. */
export function isWithin(path: Path, above: Path): boolean {
  return above.length <= path.length && above.every((key, i) => String(key) === String(path[i]));
}

/** A part of a JSON Schema, with what `meta` added to it. */
export interface Node extends z.core.JSONSchema.BaseSchema {
  /** A string that is the path of a file or folder. */
  readonly path?: boolean;
  /** Of a path: a name on the hub may stand in its place. */
  readonly hub?: boolean;
  /** What an annotated example shows, where it is not the default. */
  readonly example?: unknown;
  /** Its forms, and what each is for. */
  readonly variants?: readonly (readonly [usage: string, help: string])[];
}

/** The JSON Schema of the input of a schema. */
export function toTree(schema: z.ZodType): Node {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
}

/**
 * The nodes that may validate the value at `path`, without null; more than one where there are alternatives. With the whole
 * `input`, alternatives that a word distinguishes (`type`) are only those it names.
 */
export function nodesAt(tree: Node, path: Path, input?: unknown): readonly Node[] {
  let value = input;
  return path.reduce<readonly Node[]>(
    (nodes, key) => {
      value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
      return nodes.flatMap((node) => child(node, key)).flatMap((node) => alternatives(node, value));
    },
    alternatives(tree, value),
  );
}

/** The keys and nodes of a group. */
export function entriesOf(node: Node): [string, Node][] {
  return Object.entries(node.properties ?? {}) as [string, Node][];
}

/** The keys that groups of these nodes may have. */
export function keysOf(nodes: readonly Node[]): string[] {
  return [...new Set(nodes.flatMap((node) => entriesOf(node).map(([key]) => key)))];
}

/** Whether these nodes are of groups, with fixed or free keys. */
export function takesKeys(nodes: readonly Node[]): boolean {
  return nodes.some(({ type }) => type === "object");
}

/** The words that these nodes allow; empty where any value of a type is valid. */
export function wordsOf(nodes: readonly Node[]): string[] {
  return [...new Set(nodes.flatMap((node) => node.enum ?? (node.const === undefined ? [] : [node.const])).map(String))];
}

/** The alternatives of a node, without null; itself if there are none. */
export function alternatives(node: Node, value?: unknown): readonly Node[] {
  const options = (node.oneOf ?? node.anyOf) as Node[] | undefined;
  if (options === undefined) return node.type === "null" ? [] : [node];
  const named = node.oneOf === undefined ? [] : options.filter((option) => isNamed(option, value));
  return (named.length > 0 ? named : options).flatMap((option) => alternatives(option, value));
}

/** Whether the words in a group are those of this alternative. */
function isNamed(option: Node, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const fixed = entriesOf(option).filter(([, node]) => node.const !== undefined);
  return fixed.every(([key, node]) => ((value as Record<string, unknown>)[key] ?? node.default) === node.const);
}

function child(node: Node, key: PropertyKey): readonly Node[] {
  const found =
    node.type === "array"
      ? (node.prefixItems?.[Number(key)] ?? node.items)
      : Object.hasOwn(node.properties ?? {}, key)
        ? node.properties?.[String(key)]
        : node.additionalProperties;
  return typeof found === "object" && !Array.isArray(found) ? [found as Node] : [];
}
