import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { UserError } from "../common/errors.ts";
import type { Result } from "./futures.ts";

/** An answer other than 200: `{ detail }` with this status. */
export class HttpError extends UserError {
  override readonly name = "HttpError";
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

export interface HttpRequest {
  readonly body: Buffer;
  readonly headers: IncomingMessage["headers"];
}

/** `"POST create_session"` → what answers it. */
export type Routes = Readonly<Record<string, (request: HttpRequest) => Result | Promise<Result>>>;

export interface ListenOptions {
  /** Default 127.0.0.1: this machine alone. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** When given, a request must bring it as `X-API-Key`. Needed to listen beyond this machine. */
  readonly apiKey?: string;
}

const LARGEST_BODY = 64 << 20;
const LOOPBACK = /^(127\.|::1$|localhost$)/;

/** Listens and answers by `routes`, under `/api/v1/`. */
export async function listen(
  routes: Routes,
  { host = "127.0.0.1", port = 0, apiKey }: ListenOptions,
): Promise<{ server: Server; url: string }> {
  if (apiKey === undefined && !LOOPBACK.test(host)) {
    throw new UserError(
      `a server on ${host} can be reached from other machines: give it an API key, or listen on 127.0.0.1`,
    );
  }
  const server = createServer((request, response) => {
    answer(routes, apiKey, request).then(
      (result) => send(server, response, 200, result),
      (error: unknown) => {
        const status = error instanceof HttpError ? error.status : error instanceof UserError ? 400 : 500;
        send(server, response, status, { detail: error instanceof Error ? error.message : String(error) });
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return { server, url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}` };
}

async function answer(routes: Routes, apiKey: string | undefined, request: IncomingMessage): Promise<Result> {
  const { method, headers } = request;
  const path = new URL(request.url ?? "/", "http://server").pathname;
  const name = `${method} ${path.replace(/^\/api\/v1\//, "")}`;
  // Only browsers send an origin: a web page must not reach a server that trusts whoever is on this machine.
  if (headers.origin !== undefined) throw new HttpError(403, "requests from web pages are refused");
  if (apiKey !== undefined && headers["x-api-key"] !== apiKey && name !== "GET healthz") {
    throw new HttpError(401, "the X-API-Key header does not hold this server's API key");
  }
  const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
  if (!route) throw new HttpError(404, `no route ${method} ${path} here`);
  if (headers["content-encoding"] !== undefined)
    throw new HttpError(415, `send bodies plain, not as ${headers["content-encoding"]}`);
  return route({ headers, body: await read(request) });
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    size += (part as Buffer).length;
    if (size > LARGEST_BODY)
      throw new HttpError(413, `the body is larger than ${LARGEST_BODY} bytes: send fewer datums at a time`);
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}

function send(server: Server, response: ServerResponse, status: number, result: Result): void {
  const isProtobuf = result instanceof Uint8Array;
  response.writeHead(status, {
    "content-type": isProtobuf ? "application/x-protobuf" : "application/json",
    // A server that closes lets go of its connections after the answer.
    ...(!server.listening && { connection: "close" }),
  });
  response.end(isProtobuf ? result : JSON.stringify(result));
}
