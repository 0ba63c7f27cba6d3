import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** @file A server with the hub's routes, and a second one on another port, as the hub sends large files from elsewhere. */

type Files = Readonly<Record<string, Buffer>>;

/** A repository: its files at each commit, and what branches and tags are. */
export interface Repo {
  readonly commits: Readonly<Record<string, Files>>;
  readonly refs: Readonly<Record<string, string>>;
  /** Who may read it; anybody unless set. */
  readonly token?: string;
  /** Whether its files need a token whose owner accepted its terms. */
  readonly gated?: boolean;
  /** Sizes that the listing tells in place of the right ones. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** What goes wrong with the content of a file, for as long as it lies here. */
export interface Fault {
  /** How often still. */
  times: number;
  /** The connection breaks after so many bytes. */
  readonly breakAfter?: number;
  /** Nothing more comes after so many bytes, and the connection stays. */
  readonly hangAfter?: number;
  /** Other content. */
  readonly content?: Buffer;
  readonly status?: number;
  /** Whether ranges are not served. */
  readonly wholeOnly?: boolean;
}

/** One request as it arrived. */
export interface Asked {
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly host: "hub" | "elsewhere";
}

export class HubServer {
  readonly repos: Record<string, Repo>;
  readonly faults: Record<string, Fault> = {};
  readonly asked: Asked[] = [];
  /** How many entries a page of a listing has. */
  pageSize = 3;
  /** The hub's address. */
  url = "";
  #hub: Server | undefined;
  #elsewhere: Server | undefined;

  private constructor(repos: Record<string, Repo>) {
    this.repos = repos;
  }

  /** Serves until the test is over. */
  static async start(repos: Record<string, Repo>): Promise<HubServer> {
    const server = new HubServer(repos);
    server.#elsewhere = await listen((request, response) => server.#sendElsewhere(request, response));
    server.#hub = await listen((request, response) => server.#answer(request, response));
    server.url = address(server.#hub);
    onTestFinished(() => server.stop());
    return server;
  }

  stop(): void {
    for (const server of [this.#hub, this.#elsewhere]) {
      server?.closeAllConnections();
      server?.close();
    }
  }

  /** The paths of files whose content was asked for. */
  get contents(): string[] {
    return this.asked.filter(({ host, path }) => host === "hub" && path.includes("/resolve/")).map(({ path }) => path);
  }

  #answer(request: IncomingMessage, response: ServerResponse): unknown {
    const path = decodeURIComponent(new URL(request.url!, this.url).pathname);
    this.#note(request, path, "hub");
    const { authorization } = request.headers;
    const [, name = "", route = ""] = /^(?:\/api\/models)?\/([^/]+\/[^/]+)\/(.*)$/.exec(path) ?? [];
    const repo = this.repos[name];
    if (authorization && !authorization.startsWith("Bearer good"))
      return refuse(response, 401, "RepoNotFound", "Invalid credentials in Authorization header");
    if (!repo || (repo.token !== undefined && authorization !== `Bearer ${repo.token}`))
      return refuse(response, authorization ? 404 : 401, "RepoNotFound", "Repository not found");
    const [, kind, rest = ""] = /^(revision|tree|resolve)\/(.*)$/.exec(route) ?? [];
    const [revision = "", file = ""] =
      kind === "revision" ? [rest] : [rest.split("/")[0], rest.split("/").slice(1).join("/")];
    const commit = repo.refs[revision] ?? revision;
    const files = repo.commits[commit];
    if (!files) return refuse(response, 404, "RevisionNotFound", `Invalid rev id: ${revision}`);
    if (kind === "revision") return sendJson(response, { _id: "1", id: name, sha: commit, private: false });
    if (kind === "tree") return this.#list(request, response, files, repo.sizes);
    if (repo.gated && !authorization) return refuse(response, 401, "GatedRepo", "Access to model is restricted");
    if (repo.gated) return refuse(response, 403, "GatedRepo", "You are not in the authorized list");
    const content = files[file];
    if (!content) return refuse(response, 404, "EntryNotFound", "Entry not found");
    response.setHeader("x-repo-commit", commit);
    if (!isLarge(file)) {
      response.setHeader("etag", `"${gitOid(content)}"`);
      return this.#send(request, response, file, content);
    }
    response.setHeader("x-linked-etag", `"${sha256(content)}"`);
    response.setHeader("x-linked-size", content.length);
    return response.writeHead(302, { location: `${address(this.#elsewhere!)}/${name}/${commit}/${file}` }).end();
  }

  #sendElsewhere(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url!, "http://x").pathname);
    this.#note(request, path, "elsewhere");
    const [, org, name, commit, file] = path.split("/");
    this.#send(request, response, file!, this.repos[`${org}/${name}`]!.commits[commit!]![file!]!);
  }

  #list(request: IncomingMessage, response: ServerResponse, files: Files, sizes: Repo["sizes"] = {}): void {
    const url = new URL(request.url!, this.url);
    const from = Number(url.searchParams.get("cursor") ?? 0);
    const entries = Object.entries(files).map(([path, content]) => ({
      type: "file",
      path,
      oid: gitOid(isLarge(path) ? Buffer.from(`a pointer to ${sha256(content)}`) : content),
      size: sizes[path] ?? content.length,
      ...(isLarge(path) && { lfs: { oid: sha256(content), size: sizes[path] ?? content.length, pointerSize: 130 } }),
    }));
    const all = [{ type: "directory", path: "onnx", oid: gitOid(Buffer.from("")), size: 0 }, ...entries];
    if (from + this.pageSize < all.length) {
      url.searchParams.set("cursor", String(from + this.pageSize));
      response.setHeader("link", `<${url}>; rel="next"`);
    }
    sendJson(response, all.slice(from, from + this.pageSize));
  }

  #send(request: IncomingMessage, response: ServerResponse, file: string, right: Buffer): unknown {
    const fault = this.faults[file];
    const active = fault && fault.times-- > 0 ? fault : undefined;
    if (active?.status) return refuse(response, active.status, undefined, "a fault");
    const content = active?.content ?? right;
    const from = active?.wholeOnly ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    if (from >= content.length && from > 0) return refuse(response, 416, undefined, "beyond the end");
    response.writeHead(from > 0 ? 206 : 200, {
      "content-length": content.length - from,
      "accept-ranges": "bytes",
      ...(from > 0 && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    if (active?.hangAfter !== undefined) return response.write(content.subarray(from, active.hangAfter));
    if (active?.breakAfter === undefined) return response.end(content.subarray(from));
    return response.write(content.subarray(from, active.breakAfter), () => setTimeout(() => response.destroy(), 20));
  }

  #note(request: IncomingMessage, path: string, host: Asked["host"]): void {
    const { range, authorization } = request.headers;
    this.asked.push({ path, range, authorization, host });
  }
}

/** What git keeps of a small file. */
export function gitOid(content: Buffer): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

export function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Weights and tokenizers are kept by LFS. */
function isLarge(file: string): boolean {
  return /\.safetensors$|^tokenizer\.json$/.test(file);
}

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

const address = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function sendJson(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string | undefined, message: string): void {
  if (code) response.setHeader("x-error-code", code);
  response.setHeader("x-error-message", message);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: message }));
}
