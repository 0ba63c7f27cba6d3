import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The folder of one repository in the Hugging Face cache: `refs/REVISION` holds a commit, `snapshots/COMMIT` links of all
 * files, `blobs/` their contents under their checksums, `.no_exist/COMMIT` empty files for what the repository lacks.
 */
export class RepoCache {
  readonly folder: string;

  constructor(cache: string, name: string) {
    this.folder = join(cache, `models--${name.replaceAll("/", "--")}`);
  }

  get blobs(): string {
    return join(this.folder, "blobs");
  }

  ref(revision: string): string {
    return join(this.folder, "refs", revision);
  }

  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  absent(commit: string, file: string): string {
    return join(this.folder, ".no_exist", commit, file);
  }

  /** The commit that a revision was when it was last asked for. */
  commitOf(revision: string): string | undefined {
    if (isCommit(revision)) return revision;
    try {
      const commit = readFileSync(this.ref(revision), "utf8").trim();
      return isCommit(commit) ? commit : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whether a snapshot has the file. A link to a blob that is gone is none. */
  has(commit: string, file: string): boolean {
    return existsSync(join(this.snapshot(commit), file));
  }

  /** Whether it is known that a commit has no such file. */
  lacks(commit: string, file: string): boolean {
    return existsSync(this.absent(commit, file));
  }
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
