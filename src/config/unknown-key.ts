import { hintOf } from "./hints.ts";
import { alternatives, entriesOf, keysOf, type Node, nodesAt, type Path, wordsOf } from "./json-schema.ts";
import { nearest } from "./nearest.ts";

/** @file Messages for a key that its group does not have. */

/** The most characters of a key in a message. */
const LONGEST_KEY = 60;

/** The message, without its place, and the suggested key, if there is one. */
export interface UnknownKey {
  readonly message: string;
  readonly meant?: Path | undefined;
}

/**
 * Explains an unknown key of the group at `path`: a typo, a key of another group, a key of another tool, or a key that excludes
 * another one.
 *
 * @param input the whole, as far as it is known.
 */
export function explainUnknownKey(key: string, path: Path, tree: Node, input?: unknown): UnknownKey {
  const nodes = nodesAt(tree, path, input);
  const valid = keysOf(nodes);
  const found = (valueAt(input, path) ?? {}) as Readonly<Record<string, unknown>>;
  const unknown = `unknown key \`${shortened(key)}\`${path.length > 0 ? ` in ${path.join(".")}` : ""}`;
  const didYouMean = (meant: Path): UnknownKey => ({
    message: `${unknown}; did you mean \`${shown(meant, path)}\`?`,
    meant,
  });

  const present = valid.filter((other) => Object.hasOwn(found, other));
  const below = present.find((other) => keysOf(nodesAt(tree, [...path, other], input)).includes(key));
  if (below !== undefined) return didYouMean([...path, below, key]);
  const rival = rivalOf(key, found, present, nodes);
  if (rival) return { message: `${path.join(".")} cannot have both ${rival} and \`${key}\`: remove one` };
  const typo = nearest(key, valid, 1);
  if (typo !== undefined) return didYouMean([...path, typo]);
  const hint = hintOf(key);
  if (hint && "none" in hint) return { message: `${unknown}; ${hint.none}` };
  if (hint) {
    const meant = placeOf(hint.write, path, valid);
    const why = hint.why === undefined ? "" : ` (${hint.why})`;
    return { message: `${unknown}; write \`${shown(meant, path)}\`${why}`, meant };
  }
  const home = homeOf(key, path, tree);
  if (home !== undefined) return didYouMean(home);
  const near = nearest(key, valid);
  if (near !== undefined) return didYouMean([...path, near]);
  return { message: `${unknown}; it takes ${valid.join(", ")}` };
}

export function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key], input);
}

/** A key may be as long as a file. */
function shortened(key: string): string {
  return key.length > LONGEST_KEY ? `${key.slice(0, LONGEST_KEY - 1)}…` : key;
}

/** The path of a key relative to the group at `path` if it is below, else the whole path. */
function shown(meant: Path, path: Path): string {
  const isBelow = path.every((key, i) => String(meant[i]) === String(key));
  return meant.slice(isBelow ? path.length : 0).join(".");
}

/** The place of a hint: in this group if it has the key, in this regularizer if it is about one. */
function placeOf(write: string, path: Path, valid: readonly string[]): Path {
  const place = write.split(".");
  const key = place.at(-1)!;
  if (path.length > 0 && valid.includes(key)) return [...path, key];
  const inRegularizer = place[0] === "regularizers" && path[0] === "regularizers" && path.length > 1;
  return inRegularizer ? ["regularizers", path[1]!, ...place.slice(2)] : place;
}

/** Where a key belongs that another group has. */
function homeOf(key: string, path: Path, tree: Node): Path | undefined {
  const groups: Path[] = [[], ...keysOf([tree]).map((group) => [group])];
  const home = groups.find((group) => keysOf(nodesAt(tree, group)).includes(key));
  if (home !== undefined) return [...home, key];
  const inRegularizer = path[0] === "regularizers" && path.length > 1;
  const regularizer = ["regularizers", inRegularizer ? path[1]! : 0];
  if (inRegularizer && path.length === 2) return undefined;
  return keysOf(nodesAt(tree, regularizer)).includes(key) ? [...regularizer, key] : undefined;
}

/** What excludes a key that an alternative takes: a key of another alternative, or a value. */
function rivalOf(
  key: string,
  found: Readonly<Record<string, unknown>>,
  present: readonly string[],
  nodes: readonly Node[],
): string | undefined {
  const others = present.filter((other) => other !== key);
  const takers = nodes.filter((node) => keysOf([node]).includes(key));
  const apart = takers.map((taker) => others.filter((other) => !keysOf([taker]).includes(other)));
  const [fewest] = apart.sort((a, b) => a.length - b.length);
  if (fewest === undefined) return undefined;
  if (fewest.length > 0) return `\`${fewest[0]}\``;
  // One of these takes all keys: what it excludes is a word, such as a `kind`.
  const refuses = (taker: Node, other: string) => {
    const [, node] = entriesOf(taker).find(([name]) => name === other)!;
    const words = wordsOf(alternatives(node));
    return words.length > 0 && !words.includes(String(found[other]));
  };
  const word = others.find((other) => takers.every((taker) => refuses(taker, other)));
  return word === undefined ? undefined : `\`${word}: ${String(found[word])}\``;
}
