import { expect, it } from "vitest";
import { inParallel } from "../../src/common/parallel.ts";

const pause = () => new Promise((resolve) => setTimeout(resolve, 2));

it("results come in the order of the items, and no more work runs at once than allowed", async () => {
  let [running, most] = [0, 0];
  const results = await inParallel([...Array(10).keys()], 3, undefined, async (n, _, index) => {
    most = Math.max(most, ++running);
    await pause();
    running--;
    return [n * n, index];
  });
  expect(results).toEqual([...Array(10).keys()].map((n) => [n * n, n]));
  expect(most).toBe(3);
  expect(await inParallel([], 3, undefined, pause)).toEqual([]);
});

it("the first failure rejects, and aborts all other work", async () => {
  const signals: AbortSignal[] = [];
  const failing = inParallel([0, 1, 2], 3, undefined, async (n, signal) => {
    signals.push(signal);
    await pause();
    if (n === 1) throw new Error("no luck");
  });
  await expect(failing).rejects.toThrow("no luck");
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
});

it("the caller's signal reaches the work", async () => {
  const abort = new AbortController();
  const waiting = inParallel([0], 1, abort.signal, (_, signal) => {
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  abort.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
});
