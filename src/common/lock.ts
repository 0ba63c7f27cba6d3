import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { UserError } from "./errors.ts";

/** Who holds a lock. */
interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in the system's own count: process numbers are used again. Null where it is not told. */
  readonly born: string | null;
  /** ISO 8601. */
  readonly since: string;
}

/** A lock that is held. */
export interface Lock {
  release(): void;
}

/**
 * Takes a lock file, which only one process holds. That of a process of this machine which has ended is taken over.
 *
 * @param path the lock file; its folder must exist.
 * @param busy what the owner is doing, for the message: `the store runs/store is being filled`.
 * @throws UserError when another process holds it; a system error when the file cannot be written.
 */
export function takeLock(path: string, busy: string): Lock {
  const own: Owner = { pid: process.pid, host: hostname(), born: bornAt(process.pid), since: new Date().toISOString() };
  if (!create(path, own)) {
    // One process at a time looks whether the owner is gone, so that none takes away what another has just taken.
    const guard = `${path}.check`;
    if (!create(guard, own) && !(isGone(ownerOf(guard)) && replace(guard, own))) throw taken(path, busy);
    try {
      if (!isGone(ownerOf(path)) || !replace(path, own)) throw taken(path, busy);
    } finally {
      rmSync(guard, { force: true });
    }
  }
  let held = true;
  return {
    release: () => {
      if (held) rmSync(path, { force: true });
      held = false;
    },
  };
}

/** Who holds a lock, in words: `process 123 since 12:30:05`; null when nobody does. */
export function lockedBy(path: string): string | null {
  const owner = ownerOf(path);
  return owner === null || isGone(owner) ? null : describe(owner);
}

/** Whether it could be created. It has its content from the first moment on. */
function create(path: string, owner: Owner): boolean {
  const fresh = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(fresh, JSON.stringify(owner));
    linkSync(fresh, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
}

function replace(path: string, owner: Owner): boolean {
  rmSync(path, { force: true });
  return create(path, owner);
}

/** Null without a lock; nothing is known of the owner of one that cannot be read. */
function ownerOf(path: string): Partial<Owner> | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    return JSON.parse(text) as Owner;
  } catch {
    return {};
  }
}

/** Whether the owner is a process of this machine that has ended. */
function isGone(owner: Partial<Owner> | null): boolean {
  if (owner === null) return true;
  const { pid, host, born } = owner;
  if (pid === undefined || host !== hostname()) return false;
  if (born != null) return bornAt(pid) !== born;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Of a process, where the system tells it (Linux): field 22 of its stat. */
function bornAt(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]!;
  } catch {
    return null;
  }
}

function describe({ pid, host, since }: Partial<Owner>): string {
  if (pid === undefined) return "another process";
  const where = host === hostname() ? "" : ` on ${host}`;
  return `process ${pid}${where} since ${since}`;
}

function taken(path: string, busy: string): UserError {
  const owner = ownerOf(path) ?? {};
  const away = owner.pid === undefined || owner.host !== hostname();
  return new UserError(
    `${busy} by ${describe(owner)}: wait until it has ended${away ? `; if it has ended for sure, remove ${path}` : ""}`,
  );
}
