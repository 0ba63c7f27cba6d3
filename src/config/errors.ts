import type { z } from "zod";
import { isWithin, type Node, nodesAt, type Path, wordsOf } from "./json-schema.ts";
import { explainUnknownKey, valueAt } from "./unknown-key.ts";
import { either } from "./values.ts";

/** @file From the issues of a schema to messages that say what to do. */

/** Of more unknown keys than this in one group, the others are only counted: a message shows a few. */
const MOST_EXPLAINED = 100;

/** One thing wrong with a configuration. */
export interface Fault {
  /** Path of the key, [] for the whole. */
  readonly path: Path;
  /** The sentence, without its place in a file. */
  readonly message: string;
  /** These come first. */
  readonly isUnknownKey: boolean;
}

/** Settings as a schema completes them, or all that is wrong with them. */
export type Checked<Output> = { readonly data: Output } | { readonly faults: readonly Fault[] };

/**
 * Completes settings, or finds everything wrong with them. What is wrong is removed and the rest is checked again, since a
 * schema checks how settings go together only where each of them is valid.
 */
export function check<Schema extends z.ZodType>(
  schema: Schema,
  tree: Node,
  settings: unknown,
): Checked<z.output<Schema>> {
  const faults: Fault[] = [];
  const seen: Path[] = [];
  const rest: unknown = structuredClone(settings);
  for (;;) {
    const result = schema.safeParse(rest, { reportInput: true });
    if (result.success) return faults.length === 0 ? { data: result.data } : { faults };
    // Faults that removing caused are none.
    const found = explainIssues(result.error.issues, [], tree, rest).filter(
      ({ path }) => !seen.some((one) => isWithin(one, path)),
    );
    if (found.length === 0) return { faults };
    // A typo also makes its right key missing.
    const meant = new Set(found.map(({ meant }) => meant?.join(".")));
    const isTypo = (path: Path) => meant.has(path.join(".")) && valueAt(rest, path) === undefined;
    for (const fault of found) {
      if (!isTypo(fault.path)) faults.push(fault);
      seen.push(fault.path);
    }
    for (const { path } of found) remove(rest, path);
  }
}

interface Explained extends Fault {
  /** For an unknown key the suggested one. */
  readonly meant?: Path | undefined;
}

function explainIssues(
  issues: readonly z.core.$ZodIssue[],
  above: Path,
  tree: Node,
  input: unknown,
): readonly Explained[] {
  return issues.flatMap((issue) => explainIssue(issue, above, tree, input));
}

function explainIssue(issue: z.core.$ZodIssue, above: Path, tree: Node, input: unknown): readonly Explained[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key, i) => {
      const explained = i < MOST_EXPLAINED ? explainUnknownKey(key, path, tree, input) : { message: "unknown key" };
      return { path: [...path, key], isUnknownKey: true, ...explained };
    });
  }
  if (issue.code === "invalid_union") {
    const branch = closestBranch(issue.errors);
    if (branch) return explainIssues(branch, path, tree, input);
  }
  const message = messageOf(issue, path, valueAt(input, path), tree, input);
  return [{ path, message, isUnknownKey: false }];
}

function messageOf(issue: z.core.$ZodIssue, path: Path, found: unknown, tree: Node, input: unknown): string {
  const name = path.join(".");
  if (issue.code === "custom" && issue.params?.sentence) return `${name}: ${issue.message}`;
  // Without a message of its own: a word that distinguishes alternatives.
  const expected = issue.message || either(wordsOf(nodesAt(tree, path, input)));
  if (found === undefined) return `\`${name}\` is missing: give ${expected}`;
  return `${name || "the file"} is ${show(found)}, expected ${expected}`;
}

/**
 * The issues of the closest alternative of a union: of the right type of value, with the fewest faults. Undefined where the
 * union's own message says more.
 */
function closestBranch(branches: readonly z.core.$ZodIssue[][]): readonly z.core.$ZodIssue[] | undefined {
  const rightKind = branches
    .flatMap((issues) => innerBranches(issues))
    .filter((issues) =>
      issues.every(({ code, path }) => path.length > 0 || (code !== "invalid_type" && code !== "invalid_value")),
    );
  const [best] = rightKind.sort((a, b) => strangers(a) - strangers(b) || a.length - b.length);
  if (!best) return undefined;
  const isMissing = (issue: z.core.$ZodIssue) => issue.code === "invalid_type" && issue.input === undefined;
  const isUnknown = best.some(({ code }) => code === "unrecognized_keys");
  if (!isUnknown && best.length === 1 && isMissing(best[0]!)) return undefined;
  // An unknown key leaves it open which alternative, and so which missing keys, are meant.
  return isUnknown ? best.filter((issue) => !isMissing(issue)) : best;
}

/** The branches of an alternative that has alternatives itself. */
function innerBranches(issues: readonly z.core.$ZodIssue[]): readonly (readonly z.core.$ZodIssue[])[] {
  const [only] = issues;
  if (issues.length !== 1 || only?.code !== "invalid_union" || only.path.length > 0) return [issues];
  return only.errors.flatMap((branch) => innerBranches(branch));
}

/** How many keys of the group an alternative does not have. */
function strangers(issues: readonly z.core.$ZodIssue[]): number {
  return issues.reduce(
    (sum, issue) => sum + (issue.code === "unrecognized_keys" && issue.path.length === 0 ? issue.keys.length : 0),
    0,
  );
}

/** Removes what is at `path`; from a list the whole list, since indices would change. */
function remove(settings: unknown, path: Path): void {
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const holder = valueAt(settings, path.slice(0, depth));
    if (typeof holder !== "object" || holder === null || Array.isArray(holder)) continue;
    delete (holder as Record<PropertyKey, unknown>)[path[depth]!];
    return;
  }
}

function show(value: unknown): string {
  if (typeof value === "number") return String(value);
  const json = JSON.stringify(value);
  return json.length > 60 ? `${json.slice(0, 57)}…` : json;
}
