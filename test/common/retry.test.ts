import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { RETRY_DEFAULTS, withRetries } from "../../src/common/retry.ts";

/** Fails so many times before it succeeds, and says how often it was tried and how long was waited in between. */
function failing(times: number, fail: (n: number) => Error = (n) => new Error(`failure ${n}`)) {
  let tries = 0;
  const waits: number[] = [];
  return {
    work: () => {
      if (++tries <= times) throw fail(tries);
      return "done";
    },
    sleep: async (milliseconds: number) => void waits.push(milliseconds),
    waits,
    tries: () => tries,
  };
}

describe("retries", () => {
  test("work that fails is tried again, each time after twice the wait, up to half a minute", async () => {
    const { work, sleep, waits } = failing(9);
    expect(await withRetries(work, { retries: 9, sleep })).toBe("done");
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  });

  test("the last failure is what comes out, by default the fifth", async () => {
    const { work, sleep, tries } = failing(6);
    await expect(withRetries(work, { sleep })).rejects.toThrow("failure 5");
    expect(tries()).toBe(RETRY_DEFAULTS.retries + 1);
  });

  test("a UserError is not tried again", async () => {
    const { work, sleep, tries } = failing(1, () => new UserError("no such model"));
    await expect(withRetries(work, { sleep })).rejects.toThrow("no such model");
    expect(tries()).toBe(1);
  });

  test("a delay of its own decides what is tried again, and when", async () => {
    const { work, sleep, waits, tries } = failing(9, (n) =>
      n < 4 ? new UserError(`failure ${n}`) : new Error("final"),
    );
    const seen: unknown[] = [];
    const delay = (error: unknown, failures: number) => {
      seen.push([(error as Error).message, failures]);
      return error instanceof UserError ? (failures - 1) * 10 : undefined;
    };
    await expect(withRetries(work, { delay, sleep })).rejects.toThrow("final");
    expect(seen).toEqual([
      ["failure 1", 1],
      ["failure 2", 2],
      ["failure 3", 3],
      ["final", 4],
    ]);
    // Without a wait there is no sleep.
    expect(waits).toEqual([10, 20]);
    expect(tries()).toBe(4);
  });
});

describe("time", () => {
  test("a try that takes too long is told so and counts as failed, whether it listens or not", async () => {
    const signals: AbortSignal[] = [];
    const endless = (signal: AbortSignal) => {
      signals.push(signal);
      return new Promise<never>(() => undefined);
    };
    const sleep = async () => undefined;
    await expect(withRetries(endless, { timeout: 5, retries: 1, sleep })).rejects.toThrow(
      "no answer within 0.005 seconds",
    );
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  test("a signal ends a try and a wait at once, with its own reason and without another try", async () => {
    for (const during of ["try", "wait"]) {
      const controller = new AbortController();
      let tries = 0;
      const work = (signal: AbortSignal) => {
        tries++;
        if (during === "wait") throw new Error("again");
        return new Promise<never>((_, reject) => {
          signal.addEventListener("abort", () => reject(new Error("a late word")));
        });
      };
      const found = withRetries(work, {}, controller.signal);
      const reason = new Error("the user has gone");
      setTimeout(() => controller.abort(reason), 10);
      await expect(found).rejects.toBe(reason);
      expect(tries).toBe(1);
    }
  });

  test("nothing begins once the signal is aborted", async () => {
    const { work, tries } = failing(0);
    await expect(withRetries(work, {}, AbortSignal.abort("over"))).rejects.toBe("over");
    expect(tries()).toBe(0);
  });
});
