import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";
import type { Path } from "./json-schema.ts";

/** @file YAML to plain values. All that a text may do to its reader is told here, as a line and a sentence. */

/** What is wrong with a text. */
export class YamlError extends Error {
  override readonly name = "YamlError";
  readonly line: number;

  constructor(line: number, reason: string) {
    super(reason);
    this.line = line;
  }
}

/** A text as values, none of which is in two places. */
export interface Yaml {
  readonly value: unknown;
  /** The line of the key at `path`, or of the nearest key above it that the text has. */
  lineOf(path: Path): number | undefined;
}

/** @throws YamlError */
export function parseYaml(source: string): Yaml {
  const lineCounter = new LineCounter();
  const lineAt = (offset: number | undefined) => Math.max(1, lineCounter.linePos(offset ?? 0).line);
  // Keys are compared below: the parser compares each with all before it.
  const options = { lineCounter, uniqueKeys: false, prettyErrors: false, logLevel: "error" } as const;
  const document = parseDocument(source, options);
  const [broken] = document.errors;
  if (broken) throw new YamlError(lineAt(broken.pos[0]), shortReason(broken.message));
  let line = 1;
  visit(document, {
    Alias: (_, alias, above) => {
      line = lineAt(alias.range?.[0]);
      const anchored = alias.resolve(document);
      if (!anchored) throw new YamlError(line, `*${alias.source} names no &${alias.source} before it`);
      if (above.includes(anchored)) throw new YamlError(line, `*${alias.source} stands within &${alias.source} itself`);
    },
    Map: (_, { items }) => {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (keys.has(name)) throw new YamlError(lineAt(key.range?.[0]), `the key ${name} is there twice`);
        keys.add(name);
      }
    },
  });
  return { value: toValue(document, line), lineOf: lineFinder(document, (node) => lineAt(node.range?.[0])) };
}

/** @param line of its last alias. */
function toValue(document: Document, line: number): unknown {
  try {
    return separate(document.toJS());
  } catch (cause) {
    // What is left after the checks above: aliases of aliases that would fill the memory.
    if (cause instanceof ReferenceError) throw new YamlError(line, "its aliases stand for too many values");
    throw cause;
  }
}

/** A copy in which nothing is shared, so that what is set at one place is set nowhere else. */
function separate(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(separate);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, separate(below)]));
}

function shortReason(message: string): string {
  return message === "Maximum call stack size exceeded" ? "it is nested too deeply" : message.split("\n")[0]!;
}

function lineFinder(document: Document, lineAt: (node: Node) => number): Yaml["lineOf"] {
  /** The keys of a group, or the items of a list, and the nodes below them. */
  const known = new Map<unknown, ReadonlyMap<string, readonly [written: unknown, below: unknown]>>();
  const entriesOf = (node: unknown) => {
    let entries = known.get(node);
    if (!entries) {
      const pairs = isMap(node)
        ? node.items.map(({ key, value }) => [String(isScalar(key) ? key.value : key), [key, value]] as const)
        : isCollection(node)
          ? node.items.map((item, i) => [String(i), [item, item]] as const)
          : [];
      entries = new Map(pairs);
      known.set(node, entries);
    }
    return entries;
  };
  return (path) => {
    let node: unknown = document.contents;
    let line: number | undefined;
    for (const key of path) {
      const entry = entriesOf(isAlias(node) ? node.resolve(document) : node).get(String(key));
      if (!entry) break;
      const [written, below] = entry;
      line = lineAt(written as Node);
      node = below;
    }
    return line;
  };
}
