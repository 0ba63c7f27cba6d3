/** Runs work while none of its other work runs. */
export type Lock = <T>(work: () => Promise<T>) => Promise<T>;

/** A lock that runs work one piece at a time, in the order it was asked for; a failure does not hold up later work. */
export function serialize(): Lock {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}
