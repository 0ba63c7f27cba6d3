import { randomUUID } from "node:crypto";
import { copyFile, mkdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, relative } from "node:path";

/**
 * Lets a file of a snapshot be a link to its blob, relative so that the cache may be moved; where there are no links, a copy.
 * Whatever was there is replaced at once.
 */
export async function linkBlob(blob: string, path: string, copies: boolean): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const fresh = `${path}.${randomUUID().slice(0, 8)}.tmp`;
  try {
    if (copies || !(await linked(relative(dirname(path), blob), fresh))) await copyFile(blob, fresh);
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

/** Whether the file system could make the link: Windows asks for a privilege, some others have none. */
async function linked(target: string, path: string): Promise<boolean> {
  try {
    await symlink(target, path);
    return true;
  } catch (error) {
    if (["EPERM", "ENOTSUP", "ENOSYS", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
