import { isAbsolute, relative, sep } from "node:path";

/** A path as it is shown: from the working directory when it lies in it. */
export function shownPath(path: string): string {
  const short = relative(process.cwd(), path) || ".";
  return short === ".." || short.startsWith(`..${sep}`) || isAbsolute(short) ? path : short;
}
