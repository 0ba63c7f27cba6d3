import { existsSync, statSync } from "node:fs";
import { join, parse, sep } from "node:path";
import { glob } from "tinyglobby";
import { UserError } from "../../common/errors.ts";

/**
 * The files of a path that may be a pattern (`data/*.jsonl`, `**`, `{a,b}`), in the order of their names. What exists as it
 * is written is no pattern.
 *
 * @throws UserError when no file fits a pattern.
 */
export async function findFiles(path: string): Promise<readonly string[]> {
  if (!/[*?[\]{}]/.test(path) || existsSync(path)) return [path];
  const { folder, pattern } = split(path);
  const found = await glob(pattern, { cwd: folder, absolute: false, onlyFiles: true });
  if (found.length === 0) throw new UserError(`no file fits ${path}: check the pattern, or name a file`);
  return found.sort().map((name) => join(folder, name));
}

/** The folder that a pattern begins in: names of folders that exist are no patterns, whatever they hold. */
function split(path: string): { readonly folder: string; readonly pattern: string } {
  const { root } = parse(path);
  const names = path.slice(root.length).split(sep === "\\" ? /[\\/]/ : "/");
  let folder = root === "" ? "." : root;
  let literal = 0;
  while (literal < names.length - 1 && isFolder(join(folder, names[literal]!)))
    folder = join(folder, names[literal++]!);
  return { folder, pattern: names.slice(literal).join("/") };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
