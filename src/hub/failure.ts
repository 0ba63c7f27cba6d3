import { UserError } from "../common/errors.ts";
import { formatHubName, type HubName } from "../common/hub-name.ts";
import type { HubSettings } from "./settings.ts";

/** An answer of the hub that is not the one asked for. */
export class HubAnswer extends Error {
  override readonly name = "HubAnswer";
  readonly status: number;
  /** The hub's own word for it: `RepoNotFound`, `RevisionNotFound`, `EntryNotFound`, `GatedRepo`. */
  readonly code: string | null;
  readonly said: string | null;

  constructor({ status, headers }: Pick<Response, "status" | "headers">) {
    super(`the hub answered ${status}`);
    this.status = status;
    this.code = headers.get("x-error-code");
    this.said = headers.get("x-error-message");
  }
}

/** Content that is not what its checksum says. */
export class WrongChecksum extends Error {
  override readonly name = "WrongChecksum";
}

/** Whether the same request may succeed a little later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof UserError || error instanceof WrongChecksum) return false;
  if (error instanceof HubAnswer) return error.status === 408 || error.status === 429 || error.status >= 500;
  return !isOfDisk(error);
}

/** A failure of the hub, the network or the disk in one sentence; other errors as they are. */
export function explain(error: unknown, asked: HubName, noun: string, settings: HubSettings): unknown {
  if (error instanceof UserError || !(error instanceof Error)) return error;
  const name = formatHubName(asked);
  const host = hostOf(settings.endpoint);
  const say = (sentence: string) => new UserError(sentence, { cause: error });
  if (error instanceof WrongChecksum) return say(`${name}: ${error.message}`);
  if (error instanceof HubAnswer) return say(explainAnswer(error, asked, noun, settings));
  if (isOfDisk(error)) return say(explainDisk(error, name, settings.cache));
  const reason = error.name === "TimeoutError" ? error.message : (deepest(error).code ?? deepest(error).message);
  return say(
    `cannot reach ${host} for the ${noun} ${name} (${reason}): check the network, or HF_ENDPOINT, and start again; what was downloaded is kept`,
  );
}

function explainAnswer(answer: HubAnswer, asked: HubName, noun: string, { endpoint, token }: HubSettings): string {
  const { status, code, said } = answer;
  const host = hostOf(endpoint);
  const { name, revision } = asked;
  const signIn = token ? "that the token may read" : "and HF_TOKEN for a private one";
  if (code === "RevisionNotFound")
    return `${host} has ${name}, but no revision ${revision} of it: check the part behind @`;
  if (code === "EntryNotFound") return `${host} lists a file of ${name} that it does not have: start again`;
  if (code === "GatedRepo" || (status === 403 && code !== "RepoNotFound")) {
    const how = token ? `the token in ${token.from} may not read it` : "no token was sent";
    return `${name} is gated, and ${how}: accept its terms at ${endpoint}/${name} and set HF_TOKEN to a token that may read it`;
  }
  if (status === 401 && token && (code !== "RepoNotFound" || /invalid credentials/i.test(said ?? "")))
    return `${host} refuses the token in ${token.from}: set HF_TOKEN to a valid one, or unset it for what is public`;
  if (status === 401 || status === 404 || code === "RepoNotFound") {
    return `${formatHubName(asked)} is neither a folder that exists nor a ${noun} on ${host}: check the name, ${signIn}`;
  }
  if (status === 429) return `${host} answers no more requests for now (429): wait some minutes and start again`;
  return `${host} failed with status ${status}${said ? ` (${said})` : ""} for ${name}: start again later`;
}

function explainDisk(error: Error, name: string, cache: string): string {
  const { code, path } = deepest(error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return `the disk of the cache ${cache} is full: free space for ${name}, or set HF_HUB_CACHE to another place; what was downloaded is kept`;
  }
  return `cannot write ${name} into the cache ${cache} (${code}${path ? ` at ${path}` : ""}): set HF_HUB_CACHE to a folder that can be written`;
}

const DISK = ["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR", "ENOENT", "EIO", "EFBIG", "EMFILE"];

/** Whether the file system failed, and no socket. */
function isOfDisk(error: unknown): boolean {
  const { code, syscall } = deepest(error);
  return code !== undefined && DISK.includes(code) && syscall !== "connect";
}

/** The first cause: fetch says no more than that it failed. */
function deepest(error: unknown): NodeJS.ErrnoException {
  const { cause } = error as Error;
  return cause instanceof Error ? deepest(cause) : (error as NodeJS.ErrnoException);
}

export function hostOf(endpoint: string): string {
  return URL.canParse(endpoint) ? new URL(endpoint).host : endpoint;
}
