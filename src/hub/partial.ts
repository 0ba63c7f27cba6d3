import { randomUUID } from "node:crypto";
import { readdir, rename, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** After so long without a byte nobody writes any more, since a download gives up earlier. */
const ABANDONED_MS = 600_000;
/** The end of a part's name: the host and the process that writes it. */
const PARTIAL = /\.klamp-([\w-]+)-(\d+)-[0-9a-f]{8}\.incomplete$/;
/** What this process is writing. */
const writing = new Set<string>();
const HOST = hostname().replaceAll(/[^\w-]/g, "_");

/**
 * Works on a file with the part of a blob that has come so far. What a process that ended left of it is taken over; what
 * another one is writing is left alone, so that two who download the same do it apart, and whoever is first has it in its place.
 */
export async function withPartial(blobs: string, oid: string, work: (path: string) => Promise<void>): Promise<void> {
  const path = await claim(blobs, oid);
  writing.add(path);
  try {
    await work(path);
  } finally {
    writing.delete(path);
  }
}

/** How many bytes of these blobs are on the disk already, in parts. */
export async function partialBytes(blobs: string, oids: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(blobs)) {
    if (PARTIAL.test(name) && oids.some((oid) => name.startsWith(`${oid}.`)))
      bytes += (await stat(join(blobs, name)).catch(() => ({ size: 0 }))).size;
  }
  return bytes;
}

async function claim(blobs: string, oid: string): Promise<string> {
  const own = join(blobs, `${oid}.klamp-${HOST}-${process.pid}-${randomUUID().slice(0, 8)}.incomplete`);
  for (const name of await readdir(blobs)) {
    const [, host, pid] = PARTIAL.exec(name) ?? [];
    if (!name.startsWith(`${oid}.`) || host === undefined) continue;
    const isOurs = Number(pid) === process.pid;
    const isOver = host === HOST && (isOurs ? !writing.has(join(blobs, name)) : !isRunning(Number(pid)));
    // Of several who would take it over, one succeeds.
    if (isOver || (await isOld(join(blobs, name)))) {
      const taken = await rename(join(blobs, name), own).then(
        () => true,
        () => false,
      );
      if (taken) break;
    }
  }
  return own;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function isOld(path: string): Promise<boolean> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
  return Date.now() - mtimeMs > ABANDONED_MS;
}
