import { UserError } from "./errors.ts";

/** What the system refuses, in words, and what helps. */
const FAULTS: Readonly<Record<string, readonly [found: string, remedy: string]>> = {
  ENOSPC: ["the disk is full", "free some space"],
  EDQUOT: ["the disk quota is used up", "free some space"],
  EFBIG: ["the file would be larger than is allowed", "look at the limits of the disk and the shell"],
  EROFS: ["the disk is read-only", "choose another place"],
  EACCES: ["permission is denied", "look at its permissions, or choose another place"],
  EPERM: ["permission is denied", "look at its permissions, or choose another place"],
  ENOENT: ["it is not there: deleted, moved or not mounted", "put it back, or choose another place"],
  ENOTDIR: ["a file is where a folder should be", "move the file away, or choose another place"],
  EISDIR: ["a folder is where a file should be", "move the folder away, or choose another place"],
  EEXIST: ["something is there already", "move it away, or choose another place"],
  ENOTEMPTY: ["something is there already", "move it away, or choose another place"],
  ELOOP: ["its links lead in a circle", "mend the links"],
  ENAMETOOLONG: ["the name is too long", "choose a shorter one"],
  EIO: ["the disk reports an error", "look at the disk"],
  ESTALE: ["the network disk has lost it", "mount the disk again"],
  EMFILE: ["too many files are open", "raise the limit (ulimit -n)"],
  ENFILE: ["too many files are open", "close other programs"],
};

/**
 * What the system refused of a file, as a sentence; any other error as it is.
 *
 * @param doing what was tried: `write the checkpoint /runs/first/checkpoint-50`.
 * @param safe what is left, and how to go on; follows the remedy.
 * @example catch (error) { throw diskFault(error, `write ${path}`); }
 */
export function diskFault(error: unknown, doing: string, safe = ""): unknown {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof UserError || typeof code !== "string" || typeof syscall !== "string") return error;
  const [found, remedy] = FAULTS[code] ?? [`the system refuses it (${code})`, "look at the disk"];
  return new UserError(`cannot ${doing}: ${found}; ${remedy}${safe && `. ${safe}`}`, { cause: error });
}
