import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type Document, LineCounter, parse, parseDocument, stringify } from "yaml";
import { UserError } from "../common/errors.ts";
import { complain, unknownKey } from "./errors.ts";
import { type Config, configSchema } from "./schema.ts";
import { isPath, type Path, schemasAt, takesKeys, validKeys } from "./walk.ts";

/** One `--set a.b=value`: where it points, what it says there, and how it was written. */
interface Override {
  readonly path: readonly (string | number)[];
  readonly value: unknown;
  readonly written: string;
}

/**
 * Reads a configuration file, applies `--set` overrides (`train.steps=10`, `regularizers.0.weight=0.5`; values are YAML)
 * and fills in every default. Relative paths become absolute: in the file they count from the file's folder, in an
 * override from the working directory, as a shell completes them; defaults count as if they were in the file.
 *
 * @throws UserError naming file and line, or the override, and the nearest valid key.
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
  const overrides = sets.map(parseOverride);
  for (const override of overrides) apply(override, settings);

  const result = configSchema.safeParse(settings, { reportInput: true });
  if (result.success) {
    const folder = dirname(resolve(file));
    return resolvePaths(result.data, (path) =>
      overrides.some(({ path: set }) => reaches(set, path)) ? process.cwd() : folder,
    );
  }
  const { path, message } = complain(result.error.issues, configSchema, settings);
  const override =
    path.length > 0 ? overrides.findLast(({ path: set }) => reaches(set, path) || reaches(path, set)) : undefined;
  if (override) throw new UserError(`--set ${override.written}: ${message}`);
  const line = lineOf(document, lines, path);
  throw new UserError(`${file}${line === undefined ? "" : `:${line}`}: ${message}`);
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

function parseOverride(written: string): Override {
  const equals = written.indexOf("=");
  if (equals < 1) throw new UserError(`--set ${written}: expected KEY=VALUE, as in --set train.steps=50`);
  const keys = written.slice(0, equals).split(".");
  const path = keys.map((key) => (/^\d+$/.test(key) ? Number(key) : key));
  try {
    return { path, value: parse(written.slice(equals + 1)), written };
  } catch (cause) {
    throw new UserError(`--set ${written}: the value is not valid YAML`, { cause });
  }
}

/** Whether `path` is at or below the place that `above` points to. */
function reaches(above: Path, path: Path): boolean {
  return above.length <= path.length && above.every((key, i) => String(key) === String(path[i]));
}

/** Writes an override into the settings, making the groups on its way. Every key is checked before it is used. */
function apply({ path, value, written }: Override, settings: unknown): void {
  let at = settings;
  for (const [depth, key] of path.entries()) {
    const above = path.slice(0, depth);
    const fail = (reason: string) => new UserError(`--set ${written}: ${reason}`);
    if (typeof at !== "object" || at === null)
      throw fail(`${above.join(".") || "the file"} is ${JSON.stringify(at)}, it holds no keys`);
    if (Array.isArray(at)) {
      if (!(typeof key === "number" && key < at.length)) {
        throw fail(`${above.join(".")} has ${at.length} entries, counted from 0, and none called ${key}`);
      }
    } else if (schemasAt(configSchema, [...above, key]).length === 0) {
      throw fail(unknownKey(String(key), above, validKeys(schemasAt(configSchema, above))));
    }
    const holder = at as Record<string | number, unknown>;
    if (depth === path.length - 1) {
      holder[key] = value;
      return;
    }
    const below = Object.hasOwn(holder, key) ? holder[key] : undefined;
    // A group that is not written yet, or that a single word stands for (`on: completions`), begins empty.
    if (typeof below !== "object" || below === null) {
      holder[key] = takesKeys(schemasAt(configSchema, [...above, key])) ? {} : (below ?? []);
    }
    at = holder[key];
  }
}

/** The line of the key at `path`, or of the nearest key above it that is written in the file. */
function lineOf(document: Document, lines: LineCounter, path: Path): number | undefined {
  if (path.length === 0) return undefined;
  const parent = document.getIn(path.slice(0, -1), true);
  const key = path.at(-1);
  type Written = {
    readonly key?: { readonly value?: unknown; readonly range?: readonly number[] };
    readonly range?: readonly number[];
  };
  const items = (parent as { readonly items?: readonly Written[] } | undefined)?.items ?? [];
  const item = typeof key === "number" ? items[key] : items.find((pair) => pair.key?.value === key)?.key;
  return item?.range ? lines.linePos(item.range[0]!).line : lineOf(document, lines, path.slice(0, -1));
}

/** Makes every string absolute that the schema calls a path; `folderOf` says what it counts from. */
function resolvePaths(config: Config, folderOf: (path: Path) => string): Config {
  const walk = (value: unknown, path: Path): unknown => {
    if (typeof value === "string")
      return schemasAt(configSchema, path).some(isPath) ? resolve(folderOf(path), value) : value;
    if (Array.isArray(value)) return value.map((item, i) => walk(item, [...path, i]));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, walk(below, [...path, key])]));
  };
  return walk(config, []) as Config;
}
