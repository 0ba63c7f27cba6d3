import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** @file npm, and what it packs of this repository. `dist/` must be built. */

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export const MANIFEST = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly version: string;
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
} & Readonly<Record<string, unknown>>;

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export function execute(folder: string, command: string, ...args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  return { code: status, out: stdout, err: stderr };
}

/** Packs the repository into a folder: the tarball, and the files that it holds. */
export function pack(to: string): { readonly tarball: string; readonly files: readonly string[] } {
  const { code, out, err } = execute(ROOT, "npm", "pack", "--json", "--pack-destination", to);
  if (code !== 0) throw new Error(err);
  const [packed] = JSON.parse(out) as [{ filename: string; files: { path: string }[] }];
  return { tarball: join(to, packed.filename), files: packed.files.map(({ path }) => path) };
}
