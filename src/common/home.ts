import { homedir } from "node:os";
import { join } from "node:path";

/** A path with the user's home folder for a `~` that stands alone at its beginning. */
export function expandHome(path: string): string {
  return path === "~" || /^~[/\\]/.test(path) ? join(homedir(), path.slice(1)) : path;
}
