import { UserError } from "./errors.ts";

/**
 * Defaults for whatever is waited for, a server or a function: 5 minutes for each try, since a function may compute a whole
 * batch on a slow model, and 4 retries, since a server that restarts is away for some seconds.
 */
export const RETRY_DEFAULTS = { timeout: 300_000, retries: 4 } as const;

/** How long work may take, and how often it is tried. */
export interface RetryOptions {
  /** Milliseconds that one try may take. Default 300 000; Infinity for no limit. */
  readonly timeout?: number | undefined;
  /** How often work that failed is tried again, after 0.5, 1, 2, … 30 seconds. Default 4. */
  readonly retries?: number | undefined;
  /**
   * Milliseconds to wait before the next try, given the failure and how many there were in a row; undefined: no next try.
   * Default: by `retries`, and none after a `UserError`.
   */
  readonly delay?: ((error: unknown, failures: number) => number | undefined) | undefined;
  /** Waits between tries. Default: a timer. */
  readonly sleep?: ((milliseconds: number, signal: AbortSignal | undefined) => Promise<unknown>) | undefined;
}

/**
 * Does work until it succeeds or there is no next try.
 *
 * @param work its signal is aborted when its time is up or the caller's signal is.
 * @param signal ends everything at once.
 * @throws the last failure; of a try without end an error that says so; the signal's reason once it is aborted.
 */
export async function withRetries<T>(
  work: (signal: AbortSignal) => T | Promise<T>,
  {
    timeout = RETRY_DEFAULTS.timeout,
    retries = RETRY_DEFAULTS.retries,
    delay = backOff(retries),
    sleep = wait,
  }: RetryOptions = {},
  signal?: AbortSignal,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    signal?.throwIfAborted();
    let milliseconds: number | undefined;
    try {
      return await withinTime(work, timeout, signal);
    } catch (error) {
      signal?.throwIfAborted();
      milliseconds = delay(error, failures);
      if (milliseconds === undefined) throw error;
    }
    if (milliseconds > 0) await sleep(milliseconds, signal).catch(() => signal?.throwIfAborted());
  }
}

function backOff(retries: number): NonNullable<RetryOptions["delay"]> {
  return (error, failures) =>
    error instanceof UserError || failures > retries ? undefined : Math.min(30_000, 500 * 2 ** (failures - 1));
}

/** Settles when the work does, and no later than time is up or the signal is aborted, whether the work listens or not. */
async function withinTime<T>(
  work: (signal: AbortSignal) => T | Promise<T>,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const own = new AbortController();
  const timer =
    timeout < Number.POSITIVE_INFINITY
      ? setTimeout(() => own.abort(new Error(`no answer within ${timeout / 1000} seconds`)), timeout)
      : undefined;
  const forward = () => own.abort(signal?.reason);
  signal?.addEventListener("abort", forward, { once: true });
  try {
    return await untilAborted((async () => work(own.signal))(), own.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
  }
}

/** The promise, unless the signal is aborted first: then a rejection with its reason. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  // After the abort nobody handles a later failure.
  promise.catch(() => undefined);
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** A timer; rejects once the signal is aborted. */
export function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<unknown> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  return untilAborted(passed, signal).finally(() => clearTimeout(timer));
}
