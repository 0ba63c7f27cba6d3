import type { z } from "zod";
import { type Path, schemasAt, validKeys } from "./walk.ts";

/** @file From what a schema found wrong to one sentence that a person can act on. */

/** One thing wrong with a configuration: where, and the sentence without its place. */
export interface Complaint {
  /** Path of the offending key, [] for the whole. */
  readonly path: Path;
  readonly message: string;
}

/** Says the first thing that is wrong: unknown keys before all else, since a typo also makes its right key missing. */
export function complain(issues: readonly z.core.$ZodIssue[], schema: z.core.$ZodType, input: unknown): Complaint {
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0]!;
  return explain(issue, [], schema, input);
}

function explain(issue: z.core.$ZodIssue, above: Path, schema: z.core.$ZodType, input: unknown): Complaint {
  const path = [...above, ...issue.path];
  const name = path.join(".");
  const found = valueAt(input, path);
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    const schemas = schemasAt(schema, path, input);
    const valid = validKeys(schemas);
    const home = homeOf(key, found as Record<string, unknown>, (other) => schemasAt(schema, [...path, other], input));
    if (home && (valid.includes(key) || nearest(key, valid) === undefined)) {
      return { path: [...path, key], message: `${unknown(key, path)}; did you mean \`${home}.${key}\`?` };
    }
    const rival = rivalOf(key, found as Record<string, unknown>, schemas);
    if (rival)
      return { path: [...path, key], message: `${name} cannot have both ${rival} and \`${key}\`: take one out` };
    return { path: [...path, key], message: unknownKey(key, path, valid) };
  }
  if (issue.code === "invalid_union") {
    const branch = closestBranch(issue.errors);
    if (branch) return explain(branch, path, schema, input);
  }
  if (issue.code === "custom" && issue.path.at(-1) === "epochs" && typeof found === "number" && found > 0) {
    return { path, message: `give ${issue.message}` };
  }
  if (found === undefined) return { path, message: `\`${name}\` is missing: give ${issue.message}` };
  return { path, message: `${name || "the file"} is ${show(found)}, expected ${issue.message}` };
}

/** The group beside a key that takes it: where it was meant to be written. */
function homeOf(
  key: string,
  found: Readonly<Record<string, unknown>>,
  schemasOf: (other: string) => readonly z.core.$ZodType[],
): string | undefined {
  return Object.keys(found).find(
    (other) => typeof found[other] === "object" && other !== key && validKeys(schemasOf(other)).includes(key),
  );
}

/** What keeps a key, which an alternative takes, from being meant: a key of another alternative, or a value. */
function rivalOf(
  key: string,
  found: Readonly<Record<string, unknown>>,
  schemas: readonly z.core.$ZodType[],
): string | undefined {
  const valid = validKeys(schemas);
  const others = Object.keys(found).filter((other) => other !== key && valid.includes(other));
  const takers = schemas.filter((one) => validKeys([one]).includes(key));
  const apart = takers.map((taker) => others.filter((other) => !validKeys([taker]).includes(other)));
  const [fewest] = apart.sort((a, b) => a.length - b.length);
  if (fewest === undefined) return undefined;
  if (fewest.length > 0) return `\`${fewest[0]}\``;
  // One of these takes all keys: what it does not take is a word, such as a `kind`.
  const refuses = (taker: z.core.$ZodType, other: string) =>
    schemasAt(taker, [other]).some(
      ({ _zod: { values } }) => values !== undefined && !values.has(found[other] as string),
    );
  const word = others.find((other) => takers.every((taker) => refuses(taker, other)));
  return word === undefined ? undefined : `\`${word}: ${String(found[word])}\``;
}

/** The sentence about a key that is none of the `valid` ones of the group at `path`. */
export function unknownKey(key: string, path: Path, valid: readonly string[]): string {
  const near = nearest(key, valid);
  const hint = near === undefined ? `it takes ${valid.join(", ")}` : `did you mean \`${near}\`?`;
  return `${unknown(key, path)}; ${hint}`;
}

function unknown(key: string, path: Path): string {
  return `unknown key \`${key}\`${path.length > 0 ? ` in ${path.join(".")}` : ""}`;
}

/** Of a union's alternatives the one the user seems to have meant: the right kind of value with the fewest faults. */
function closestBranch(branches: readonly z.core.$ZodIssue[][]): z.core.$ZodIssue | undefined {
  const rightKind = branches.filter((issues) =>
    issues.every(({ code, path }) => path.length > 0 || (code !== "invalid_type" && code !== "invalid_value")),
  );
  const [best] = rightKind.sort((a, b) => a.length - b.length);
  const unknown = best?.find(({ code }) => code === "unrecognized_keys");
  // Nothing but a missing key says less than the union's own description of its alternatives.
  const saysMore = best?.find(
    (issue) => !(issue.code === "invalid_type" && best.length === 1 && issue.input === undefined),
  );
  return unknown ?? saysMore;
}

function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key], input);
}

function show(value: unknown): string {
  if (typeof value === "number") return String(value);
  const json = JSON.stringify(value);
  return json.length > 60 ? `${json.slice(0, 57)}…` : json;
}

/** The candidate that is fewest edits away, if it is near enough to have been meant. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: distance(word, candidate) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best && best.edits <= Math.max(2, Math.floor(word.length / 2)) ? best.candidate : undefined;
}

/** Levenshtein's edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
