/**
 * Does work on all items, at most `atOnce` at a time. The first failure aborts the signal of all other work and rejects.
 *
 * @param signal aborts the signal that `work` gets as well.
 * @returns the results in the order of the items.
 * @example await inParallel(urls, 4, undefined, (url, signal) => fetch(url, { signal }));
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  signal: AbortSignal | undefined,
  work: (item: Item, signal: AbortSignal, index: number) => Promise<Result>,
): Promise<Result[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  const results = new Array<Result>(items.length);
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]!, either, i);
  };
  const workers = Array.from({ length: Math.min(atOnce, items.length) }, worker);
  await Promise.all(workers).catch((error) => {
    failed.abort(error);
    throw error;
  });
  return results;
}
