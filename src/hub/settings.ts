import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { UserError } from "../common/errors.ts";
import { expandHome } from "../common/home.ts";

/** Where models of the hub are kept and asked for: the environment variables that huggingface_hub reads. */
export interface HubSettings {
  /** The folder with `models--ORG--NAME`. */
  readonly cache: string;
  /** The hub's address, without a slash at its end. */
  readonly endpoint: string;
  /** Whether nothing may be asked. */
  readonly offline: boolean;
  /** Whether files lie in snapshots themselves, for file systems without links. */
  readonly copies: boolean;
  /** Who asks, and where that was read; undefined for nobody. It is in no message. */
  readonly token: { readonly secret: string; readonly from: string } | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the settings. Of the token nothing but the header of a request to `endpoint` is made.
 *
 * @throws UserError for a token that could not be sent, without showing it.
 */
export function hubSettings(environment: Environment = process.env): HubSettings {
  const { XDG_CACHE_HOME, HF_HOME, HUGGINGFACE_HUB_CACHE, HF_HUB_CACHE, HF_ENDPOINT } = environment;
  const expand = (path: string) => resolve(expandHome(expandVariables(path, environment)));
  const home = expand(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface"));
  return {
    cache: expand(HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(home, "hub")),
    endpoint: (HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, ""),
    offline: isTrue(environment.HF_HUB_OFFLINE || environment.TRANSFORMERS_OFFLINE),
    copies: isTrue(environment.HF_HUB_DISABLE_SYMLINKS),
    token: readToken(environment, expand(environment.HF_TOKEN_PATH || join(home, "token"))),
  };
}

function readToken(environment: Environment, file: string): HubSettings["token"] {
  if (isTrue(environment.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  const name = environment.HF_TOKEN ? "HF_TOKEN" : "HUGGING_FACE_HUB_TOKEN";
  const written = clean(environment[name]);
  const secret = written || clean(readIfThere(file));
  if (!secret) return undefined;
  const from = written ? name : file;
  if (/^[\x21-\x7e]+$/.test(secret)) return { secret, from };
  throw new UserError(`the token in ${from} holds characters that no token has: copy it again from the hub's settings`);
}

function clean(token: string | undefined): string {
  return (token ?? "").replaceAll(/[\r\n]/g, "").trim();
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function isTrue(value: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes((value ?? "").toUpperCase());
}

/** `$NAME` and `${NAME}`; a name that is not set stays as it is written. */
function expandVariables(path: string, environment: Environment): string {
  return path.replaceAll(/\$(?:\{([^}]*)\}|(\w+))/g, (all, braced?: string, bare?: string) => {
    return environment[braced ?? bare ?? ""] ?? all;
  });
}
