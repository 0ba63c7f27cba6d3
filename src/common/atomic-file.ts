/** @file Files and folders of which a reader finds the old content or the new, never a part. */

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";

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
}

/** As `writeFileAtomic`, of content in pieces, without blocking the thread. */
export async function writePartsAtomic(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = temporaryPath(path);
  const file = await open(temporary, "w");
  try {
    for (const part of parts) await file.writeFile(part);
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Lets `fill` write into an empty folder, which then takes the place of the one at `path`. */
export async function writeFolderAtomic(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const temporary = temporaryPath(path);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  try {
    await fill(temporary);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  await rm(path, { recursive: true, force: true });
  await rename(temporary, path);
}

const temporaryPath = (path: string) => `${path}.${process.pid}.tmp`;
