import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished, vi } from "vitest";
import { HubServer, type Repo } from "./hub-server.ts";

/** @file The fixture's model as a repository of a hub, and a cache of its own for a test. */

const LLAMA = fileURLToPath(new URL("../fixtures/llama/", import.meta.url));

export const NAME = "tiny-org/tiny.Llama_1";
export const COMMIT = "a1".repeat(20);
export const OLD_COMMIT = "b2".repeat(20);

export function filesOf(folder: string): Record<string, Buffer> {
  return Object.fromEntries(
    readdirSync(join(LLAMA, folder)).map((name) => [name, readFileSync(join(LLAMA, folder, name))]),
  );
}

export const MODEL_FILES = filesOf("model");

export function modelRepo(more: Partial<Repo> = {}): Repo {
  const extra = { "README.md": Buffer.from("# tiny"), "pytorch_model.bin": Buffer.from("pickled") };
  const old = { ...MODEL_FILES, "chat_template.jinja": Buffer.from("{{ messages[0].content }}") };
  return {
    commits: { [COMMIT]: { ...MODEL_FILES, ...extra }, [OLD_COMMIT]: old },
    refs: { main: COMMIT, "v1.0": OLD_COMMIT, "refs/pr/1": OLD_COMMIT },
    ...more,
  };
}

/** A hub with these repositories, and an environment in which an empty cache and this hub are set. */
export async function hubWith(
  repos: Record<string, Repo>,
  environment: Record<string, string> = {},
): Promise<{ server: HubServer; cache: string }> {
  const server = await HubServer.start(repos);
  const cache = mkdtempSync(join(tmpdir(), "klamp-hub-"));
  onTestFinished(() => rmSync(cache, { recursive: true, force: true }));
  const none = {
    HF_TOKEN: "",
    HUGGING_FACE_HUB_TOKEN: "",
    HF_TOKEN_PATH: join(cache, "no-token"),
    HF_HUB_OFFLINE: "",
    TRANSFORMERS_OFFLINE: "",
    HF_HUB_DISABLE_SYMLINKS: "",
  };
  for (const [key, value] of Object.entries({ ...none, HF_HUB_CACHE: cache, HF_ENDPOINT: server.url, ...environment }))
    vi.stubEnv(key, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  return { server, cache };
}

/** The entries of the cache's blobs that are no whole blobs. */
export function partials(cache: string, name = NAME): string[] {
  return readdirSync(join(cache, `models--${name.replace("/", "--")}`, "blobs")).filter((file) => file.includes("."));
}
