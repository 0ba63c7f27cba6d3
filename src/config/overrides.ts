import { type Node, nodesAt, type Path, takesKeys } from "./json-schema.ts";
import { explainUnknownKey } from "./unknown-key.ts";
import { parseYaml, YamlError } from "./yaml.ts";

/** @file Settings of the command line: `--set train.steps=10`. */

/** One `--set a.b=value`: its path, its value, and its text. */
export interface Override {
  readonly path: Path;
  readonly value: unknown;
  readonly written: string;
}

/** One thing wrong, with its place in front. */
export interface PlacedFault {
  readonly message: string;
  /** In the file; overrides come after all lines. */
  readonly line: number;
  readonly isUnknownKey: boolean;
}

/** A fault of an override. */
export function inOverride({ written }: Pick<Override, "written">, message: string, isUnknownKey = false): PlacedFault {
  return { message: `--set ${written}: ${message}`, line: Number.MAX_SAFE_INTEGER, isUnknownKey };
}

/** Parses overrides. */
export function parseOverrides(sets: readonly string[]): { overrides: Override[]; faults: PlacedFault[] } {
  const overrides: Override[] = [];
  const faults: PlacedFault[] = [];
  for (const written of sets) {
    const equals = written.indexOf("=");
    if (equals < 1) {
      faults.push(inOverride({ written }, "expected KEY=VALUE, as in --set train.steps=50"));
      continue;
    }
    const keys = written.slice(0, equals).split(".");
    const path = keys.map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    try {
      overrides.push({ path, value: parseYaml(written.slice(equals + 1)).value, written });
    } catch (cause) {
      if (!(cause instanceof YamlError)) throw cause;
      faults.push(inOverride({ written }, `the value is not valid YAML: ${cause.message}`));
    }
  }
  return { overrides, faults };
}

/** Writes overrides into the settings, in order, except those with an invalid path. */
export function applyOverrides(
  overrides: readonly Override[],
  settings: unknown,
  tree: Node,
): { applied: readonly Override[]; faults: readonly PlacedFault[] } {
  const faults: PlacedFault[] = [];
  const applied = overrides.filter((override) => {
    const fault = apply(override, settings, tree);
    if (fault) faults.push(fault);
    return !fault;
  });
  return { applied, faults };
}

/** Writes one into the settings, making the groups on its way. Every key is checked before it is used. */
function apply(override: Override, settings: unknown, tree: Node): PlacedFault | undefined {
  const { path, value } = override;
  let at = settings;
  for (const [depth, key] of path.entries()) {
    const above = path.slice(0, depth);
    if (typeof at !== "object" || at === null) {
      return inOverride(override, `${above.join(".") || "the file"} is ${JSON.stringify(at)}, it holds no keys`);
    }
    if (Array.isArray(at)) {
      if (!(typeof key === "number" && key < at.length)) {
        const count = `${above.join(".")} has ${at.length} entries, counted from 0`;
        return inOverride(override, `${count}, and none called ${String(key)}`);
      }
    } else if (nodesAt(tree, [...above, key]).length === 0) {
      return inOverride(override, explainUnknownKey(String(key), above, tree, settings).message, true);
    }
    const holder = at as Record<PropertyKey, unknown>;
    if (depth === path.length - 1) {
      holder[key] = value;
      return undefined;
    }
    const below = Object.hasOwn(holder, key) ? holder[key] : undefined;
    // A group that is not set yet, or set to a single word (`text: completions`), begins empty.
    if (typeof below !== "object" || below === null) {
      holder[key] = takesKeys(nodesAt(tree, [...above, key])) ? {} : (below ?? []);
    }
    at = holder[key];
  }
  return undefined;
}
