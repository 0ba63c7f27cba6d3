import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  ConnectionError,
  OperationFailedError,
  RequestRefusedError,
  ServerError,
  UnexpectedAnswerError,
} from "../../../src/engine/tinker/errors.ts";
import { Http } from "../../../src/engine/tinker/http.ts";

type Answer = { status?: number; body?: unknown; destroy?: boolean };

let server: Server;
const bodies: string[] = [];
const waits: number[] = [];

/** A server that gives these answers one after the other, and a client of it that notes its waits instead of waiting. */
async function misbehaving(answers: readonly Answer[], signal?: AbortSignal): Promise<Http> {
  bodies.length = 0;
  waits.length = 0;
  let next = 0;
  server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    bodies.push(body);
    const { status = 200, body: content, destroy } = answers[Math.min(next++, answers.length - 1)]!;
    if (destroy) request.socket.destroy();
    else
      response
        .writeHead(status, { "content-type": "application/json" })
        .end(typeof content === "string" ? content : JSON.stringify(content ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return new Http({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    sleep: async (milliseconds) => waits.push(milliseconds),
    ...(signal && { signal }),
  });
}

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const good = { body: { model_id: "m" } };
const schema = z.object({ model_id: z.string() });

describe("a request gets through", () => {
  it("when the server is slow, broken or busy for a while; the same body each time", async () => {
    const http = await misbehaving([
      { status: 408 },
      { status: 500 },
      { status: 429 },
      { status: 429 },
      { destroy: true },
      { status: 408 },
      { status: 429 },
      good,
    ]);
    expect(await http.post("get_info", { model_id: "m" }, schema)).toEqual({ model_id: "m" });
    expect(bodies).toEqual(new Array(8).fill('{"model_id":"m"}'));
    // 500 at once; the second to fourth failure in a row with pauses; 408 begins anew.
    expect(waits).toEqual([2000, 4000, 8000, 1000]);
  });

  it("when a result takes several polls", async () => {
    const http = await misbehaving([
      { body: { type: "try_again", request_id: "7", queue_state: "active" } },
      { status: 408 },
      good,
    ]);
    expect(await http.result("7", schema)).toEqual({ model_id: "m" });
    expect(bodies).toEqual(new Array(3).fill('{"request_id":"7","allow_metadata_only":false}'));
  });
});

describe("a request fails", () => {
  it("at once, with what the server said, when that is final", async () => {
    for (const [status, detail] of [
      [404, "no such model"],
      [409, "another body"],
      [410, "gone"],
      [422, [{ msg: "no" }]],
    ] as const) {
      const http = await misbehaving([{ status, body: { detail } }]);
      const failed = http.post("get_info", {}, schema);
      await expect(failed).rejects.toThrow(RequestRefusedError);
      await expect(failed).rejects.toMatchObject({
        detail: typeof detail === "string" ? detail : JSON.stringify(detail),
      });
      expect(bodies).toHaveLength(1);
      server.close();
    }
  });

  it("after four times 400", async () => {
    const http = await misbehaving([{ status: 400, body: "plain words" }]);
    await expect(http.post("get_info", {}, schema)).rejects.toThrow(/get_info answered 400: plain words/);
    expect(bodies).toHaveLength(4);
  });

  it("when the server stays broken", async () => {
    const http = await misbehaving([{ status: 503 }]);
    await expect(http.post("get_info", {}, schema)).rejects.toThrow(ServerError);
    expect(bodies).toHaveLength(15);
  });

  it("when nobody answers", async () => {
    const http = await misbehaving([{ destroy: true }]);
    await expect(http.post("get_info", {}, schema)).rejects.toThrow(ConnectionError);
    server.close();
    server.closeAllConnections();
    await expect(http.post("get_info", {}, schema)).rejects.toThrow(/ECONNREFUSED.*is the server running/);
  });

  it("when the operation failed", async () => {
    const http = await misbehaving([{ body: { error: "out of memory", category: "server" } }]);
    await expect(http.result("7", schema)).rejects.toThrow(OperationFailedError);
    await expect(http.result("7", schema)).rejects.toThrow(/\(server\): out of memory/);
  });

  it("when the answer is not what was due", async () => {
    const http = await misbehaving([{ body: { model: 3 } }]);
    await expect(http.post("get_info", {}, schema)).rejects.toThrow(UnexpectedAnswerError);
    await expect(http.message("7", (bytes) => bytes)).rejects.toThrow(/JSON where protobuf was due/);
  });

  it("when the caller has had enough, in a request and between two", async () => {
    const abort = new AbortController();
    const http = await misbehaving([{ status: 408 }], abort.signal);
    const polling = http.result("7", schema);
    const ended = expect(polling).rejects.toThrow("enough");
    while (bodies.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort(new Error("enough"));
    await ended;
    await expect(http.post("get_info", {}, schema)).rejects.toThrow("enough");
  });
});
