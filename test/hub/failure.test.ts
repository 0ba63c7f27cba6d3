import { expect, it } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { explain } from "../../src/hub/failure.ts";

/** @file Failures that a test cannot bring about: each is one sentence that says what to do. */

const SETTINGS = {
  cache: "/cache",
  endpoint: "https://huggingface.co",
  offline: false,
  copies: false,
  token: undefined,
};
const ASKED = { name: "a/b", revision: "main" };

function sentence(cause: Error): string {
  const error = explain(cause, ASKED, "model", SETTINGS);
  if (!(error instanceof UserError)) throw new Error("it is not explained");
  return error.message;
}

const failure = (code: string, syscall: string, path?: string) =>
  Object.assign(new Error(`${code}: it failed`), { code, syscall, path });
const ofFetch = (cause: Error) => new TypeError("fetch failed", { cause });

it.each([
  [failure("ENOSPC", "write"), "the disk of the cache /cache is full: free space for a/b, or set HF_HUB_CACHE"],
  [failure("EDQUOT", "write"), "the disk of the cache /cache is full"],
  [
    failure("EROFS", "mkdir", "/cache/x"),
    "cannot write a/b into the cache /cache (EROFS at /cache/x): set HF_HUB_CACHE",
  ],
  [
    ofFetch(failure("ENOTFOUND", "getaddrinfo")),
    "cannot reach huggingface.co for the model a/b (ENOTFOUND): check the",
  ],
  [ofFetch(failure("EPIPE", "write")), "cannot reach huggingface.co for the model a/b (EPIPE)"],
  [ofFetch(failure("ECONNRESET", "read")), "cannot reach huggingface.co for the model a/b (ECONNRESET)"],
  [ofFetch(failure("CERT_HAS_EXPIRED", "connect")), "cannot reach huggingface.co for the model a/b (CERT_HAS_EXPIRED)"],
  [new DOMException("nothing came for 30 seconds", "TimeoutError"), "(nothing came for 30 seconds)"],
])("%s", (cause, expected) => {
  expect(sentence(cause)).toContain(expected);
});
