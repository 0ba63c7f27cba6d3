import { describe, expect, it } from "vitest";
import { retryDelay } from "../../../src/engine/tinker/retry.ts";

const delays = (status: number | "connection", count: number) =>
  Array.from({ length: count }, (_, i) => retryDelay(status, i + 1));

describe("a failed request is sent again", () => {
  it("after ever longer pauses when the server is busy or away, for about five minutes", () => {
    for (const status of [429, "connection"] as const) {
      expect(delays(status, 7)).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000]);
      expect(delays(status, 15).at(-1)).toBeUndefined();
      expect(delays(status, 14).reduce<number>((sum, delay) => sum + delay!, 0)).toBeGreaterThan(270_000);
    }
  });

  it("at once after the first 5xx, then with pauses", () => {
    expect(delays(503, 4)).toEqual([0, 1000, 2000, 4000]);
    expect(retryDelay(500, 15)).toBeUndefined();
  });

  it("a few times after 400", () => {
    expect(delays(400, 5)).toEqual([0, 0, 0, undefined, undefined]);
  });

  it("never after any other 4xx", () => {
    for (const status of [401, 402, 403, 404, 409, 410, 413, 422]) expect(retryDelay(status, 1)).toBeUndefined();
  });
});
