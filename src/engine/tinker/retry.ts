/** How often in a row a failing request is sent again: with the waits below, for about five minutes. */
const MOST_FAILURES = 14;
const MOST_BAD_REQUESTS = 3;

/**
 * How long to wait before a failed request is sent again, in milliseconds; undefined: not again.
 *
 * - 5xx: at once, then as below: servers restart.
 * - 429 and no connection: 1, 2, 4, … 30 seconds.
 * - 400: at once, a few times. Proxies answer so when a connection breaks.
 * - anything else is final.
 *
 * @param status the HTTP status, or "connection" when there was no answer.
 * @param failures how many times in a row it failed, from 1.
 */
export function retryDelay(status: number | "connection", failures: number): number | undefined {
  if (status === 400) return failures <= MOST_BAD_REQUESTS ? 0 : undefined;
  const isBroken = status !== "connection" && status >= 500;
  if (!isBroken && status !== 429 && status !== "connection") return undefined;
  if (failures > MOST_FAILURES) return undefined;
  const pauses = isBroken ? failures - 2 : failures - 1;
  return pauses < 0 ? 0 : Math.min(30_000, 1000 * 2 ** pauses);
}
