import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { stringify } from "yaml";
import { UserError } from "../common/errors.ts";
import { expandHome } from "../common/home.ts";
import { parseHubName } from "../common/hub-name.ts";
import { readTextFile, UnreadableFileError } from "../common/text-file.ts";
import { check, type Fault } from "./errors.ts";
import { isWithin, type Node, nodesAt, type Path, toTree } from "./json-schema.ts";
import { applyOverrides, inOverride, type Override, type PlacedFault, parseOverrides } from "./overrides.ts";
import { type Config, configSchema } from "./schema.ts";
import { parseYaml, type Yaml, YamlError } from "./yaml.ts";

/** The most faults in one message. */
const MOST_FAULTS = 10;
/** The most bytes of a configuration: far more than anybody writes, and read in a few seconds whatever they hold. */
const MOST_BYTES = 2 << 20;

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
  const yaml = readYaml(file);
  const settings: unknown = yaml.value ?? {};
  const parsed = parseOverrides(sets);
  const { applied, faults: misplaced } = applyOverrides(isGroup(settings) ? parsed.overrides : [], settings, TREE);
  const checked = check(configSchema, TREE, settings);
  const found = "faults" in checked ? checked.faults.map((fault) => place(fault, file, yaml, applied)) : [];
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

function readYaml(file: string): Yaml {
  try {
    return parseYaml(readTextFile(file, MOST_BYTES));
  } catch (cause) {
    if (cause instanceof YamlError) {
      throw new UserError(`${file}:${cause.line}: this is not valid YAML: ${cause.message}`, { cause });
    }
    if (!(cause instanceof UnreadableFileError)) throw cause;
    throw new UserError(`cannot read the configuration ${file}: ${cause.reason}`, { cause });
  }
}

function isGroup(settings: unknown): boolean {
  return typeof settings === "object" && settings !== null && !Array.isArray(settings);
}

/** A fault with its place before it: the override that is to blame, or else the line of the file. */
function place(
  { path, message, isUnknownKey }: Fault,
  file: string,
  yaml: Yaml,
  overrides: readonly Override[],
): PlacedFault {
  const blamed = (set: Path) => path.length > 0 && (isWithin(path, set) || isWithin(set, path));
  const override = overrides.findLast(({ path: set }) => blamed(set));
  if (override) return inOverride(override, message, isUnknownKey);
  const line = yaml.lineOf(path);
  return { message: `${file}${line === undefined ? "" : `:${line}`}: ${message}`, line: line ?? 0, isUnknownKey };
}

/** One sentence, or all of them below each other. */
function formatFaults(faults: readonly string[]): string {
  if (faults.length === 1) return faults[0]!;
  const shown = faults.slice(0, MOST_FAULTS).map((fault) => `\n  ${fault}`);
  const more = faults.length > MOST_FAULTS ? `\n  and ${faults.length - MOST_FAULTS} more` : "";
  return `the configuration has ${faults.length} errors:${shown.join("")}${more}`;
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
