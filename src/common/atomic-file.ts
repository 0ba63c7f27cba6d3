/**
 * @file Files and folders of which a reader finds the old content or the new, never a part, also after a power cut: content
 * is on the disk before it gets its name, and its name is on the disk when these return.
 */

import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Writes a file whole or not at all. */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  const temporary = temporaryPath(path);
  try {
    const file = openSync(temporary, "w");
    try {
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** As `writeFileAtomic`, of content in pieces, without blocking the thread. */
export async function writePartsAtomic(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    const file = await open(temporary, "w");
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** Lets `fill` write into an empty folder, which then takes the place of the one at `path`. The folder above must exist. */
export async function writeFolderAtomic(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const [temporary, old] = [temporaryPath(path), oldPath(path)];
  await rm(temporary, { recursive: true, force: true });
  try {
    await mkdir(temporary);
    await fill(temporary);
    for (const name of readdirSync(temporary)) syncFolder(join(temporary, name));
    syncFolder(temporary);
    // A folder cannot be renamed over one that holds something.
    if (existsSync(path)) await rename(path, old);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  syncFolder(dirname(path));
  await rm(old, { recursive: true, force: true });
}

/** Removes a folder, of which nobody ever finds a part. */
export async function removeFolderAtomic(path: string): Promise<void> {
  await rename(path, oldPath(path));
  await rm(oldPath(path), { recursive: true, force: true });
}

/**
 * Removes what a process that was killed left beside the files and folders of these names. None may be at work on them.
 *
 * @param names as they are in the folder when they are whole.
 */
export function removeLeftovers(folder: string, names: RegExp): void {
  for (const name of readdirSync(folder)) {
    const whole = /^(.+?)\.\d+(\.old)?\.tmp$/.exec(name)?.[1];
    if (whole !== undefined && names.test(whole)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** Waits until a folder's names, or a file's content, are on the disk. */
export function syncFolder(path: string): void {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    // Windows opens no folders, and keeps their names without being asked.
    if (["EISDIR", "EPERM", "EACCES"].includes((error as NodeJS.ErrnoException).code!)) return;
    throw error;
  }
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

const temporaryPath = (path: string) => `${path}.${process.pid}.tmp`;
const oldPath = (path: string) => `${path}.${process.pid}.old.tmp`;
