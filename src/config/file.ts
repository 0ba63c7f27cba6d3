import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Document, LineCounter, parseDocument, stringify } from "yaml";
import { UserError } from "../common/errors.ts";
import { expandHome } from "../common/home.ts";
import { parseHubName } from "../common/hub-name.ts";
import { check, type Fault } from "./errors.ts";
import { isWithin, type Node, nodesAt, type Path, toTree } from "./json-schema.ts";
import { applyOverrides, inOverride, type Override, type PlacedFault, parseOverrides } from "./overrides.ts";
import { type Config, configSchema } from "./schema.ts";

/** The most faults in one message. */
const MOST_FAULTS = 10;

const TREE = toTree(configSchema);

/**
 * Reads a configuration file, applies `--set` overrides (`train.steps=10`, `regularizers.0.weight=0.5`; values are YAML)
 * and fills in every default. Relative paths become absolute: in the file they count from the file's folder, in an
 * override from the working directory, as a shell completes them; defaults count from the file's folder. `~` is the home folder.
 *
 * @throws UserError naming file and line, or the override, and what to write instead: of all that is wrong, up to ten.
 * @example const config = loadConfig("config.yaml", ["train.steps=50"]);
 */
export function loadConfig(file: string, sets: readonly string[] = []): Config {
  const lines = new LineCounter();
  const document = parseDocument(readConfigFile(file), { lineCounter: lines });
  const [broken] = document.errors;
  if (broken) {
    const { line } = lines.linePos(broken.pos[0]);
    const reason = broken.message.split("\n")[0]!.replace(/ at line .*/, "");
    throw new UserError(`${file}:${line}: this is not valid YAML: ${reason}`);
  }
  const settings: unknown = document.toJS() ?? {};
  const parsed = parseOverrides(sets);
  const { applied, faults: misplaced } = applyOverrides(isGroup(settings) ? parsed.overrides : [], settings, TREE);
  const checked = check(configSchema, TREE, settings);
  const found = "faults" in checked ? checked.faults.map((fault) => place(fault, file, document, lines, applied)) : [];
  const faults = [...parsed.faults, ...misplaced, ...found].sort(
    (a, b) => Number(b.isUnknownKey) - Number(a.isUnknownKey) || a.line - b.line,
  );
  if ("data" in checked && faults.length === 0) {
    const folder = dirname(resolve(file));
    return resolvePaths(checked.data, (path) =>
      applied.some(({ path: set }) => isWithin(path, set)) ? process.cwd() : folder,
    );
  }
  throw new UserError(formatFaults(faults.map(({ message }) => message)));
}

/** The configuration as YAML, complete: what a run folder keeps, and what `loadConfig` reads back to the same settings. */
export function stringifyConfig(config: Config): string {
  return stringify(config, { lineWidth: 0, aliasDuplicateObjects: false });
}

function readConfigFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = missing ? "there is no such file" : (cause as Error).message;
    throw new UserError(`cannot read the configuration ${file}: ${reason}`, { cause });
  }
}

function isGroup(settings: unknown): boolean {
  return typeof settings === "object" && settings !== null && !Array.isArray(settings);
}

/** A fault with its place before it: the override that is to blame, or else the line of the file. */
function place(
  { path, message, isUnknownKey }: Fault,
  file: string,
  document: Document,
  lines: LineCounter,
  overrides: readonly Override[],
): PlacedFault {
  const blamed = (set: Path) => path.length > 0 && (isWithin(path, set) || isWithin(set, path));
  const override = overrides.findLast(({ path: set }) => blamed(set));
  if (override) return inOverride(override, message, isUnknownKey);
  const line = lineOf(document, lines, path);
  return { message: `${file}${line === undefined ? "" : `:${line}`}: ${message}`, line: line ?? 0, isUnknownKey };
}

/** One sentence, or all of them below each other. */
function formatFaults(faults: readonly string[]): string {
  if (faults.length === 1) return faults[0]!;
  const shown = faults.slice(0, MOST_FAULTS).map((fault) => `\n  ${fault}`);
  const more = faults.length > MOST_FAULTS ? `\n  and ${faults.length - MOST_FAULTS} more` : "";
  return `the configuration has ${faults.length} errors:${shown.join("")}${more}`;
}

/** The line of the key at `path`, or of the nearest key above it that the file has. */
function lineOf(document: Document, lines: LineCounter, path: Path): number | undefined {
  if (path.length === 0) return undefined;
  const parent = document.getIn(path.slice(0, -1), true);
  const key = path.at(-1);
  type Written = {
    readonly key?: { readonly value?: unknown; readonly range?: readonly number[] };
    readonly range?: readonly number[];
  };
  const items = (parent as { readonly items?: readonly Written[] } | undefined)?.items ?? [];
  const item =
    typeof key === "number"
      ? items[key]
      : items.find((pair) => pair.key !== undefined && String(pair.key.value) === key)?.key;
  return item?.range ? lines.linePos(item.range[0]!).line : lineOf(document, lines, path.slice(0, -1));
}

/** Makes every path of the schema absolute, relative to `folderOf` its key; names on the hub stay, where no folder has them. */
function resolvePaths(config: Config, folderOf: (path: Path) => string): Config {
  return mapPaths(config, (value, path, nodes) => {
    const absolute = resolve(folderOf(path), expandHome(value));
    const isName = nodes.some((node) => node.hub) && parseHubName(value) !== null && !existsSync(absolute);
    return isName ? value : absolute;
  });
}

/** The settings that name files and folders, by their keys: `data.train`, `regularizers.0.text.file`. */
export function pathsIn(config: Config): Map<string, string> {
  const paths = new Map<string, string>();
  mapPaths(config, (value, path) => {
    paths.set(path.join("."), value);
    return value;
  });
  return paths;
}

function mapPaths(config: Config, change: (value: string, path: Path, nodes: readonly Node[]) => string): Config {
  const walk = (value: unknown, path: Path): unknown => {
    if (typeof value === "string") {
      const nodes = nodesAt(TREE, path);
      return nodes.some((node) => node.path) ? change(value, path, nodes) : value;
    }
    if (Array.isArray(value)) return value.map((item, i) => walk(item, [...path, i]));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, walk(below, [...path, key])]));
  };
  return walk(config, []) as Config;
}
