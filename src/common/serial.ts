/** Runs work while none of its other work runs. */
export interface Lock {
  <T>(work: () => Promise<T>): Promise<T>;
  /** How much work was asked for so far. */
  readonly asked: number;
}

/** A lock that runs work one piece at a time, in the order it was asked for; a failure does not hold up later work. */
export function serialize(): Lock {
  let last: Promise<unknown> = Promise.resolve();
  let asked = 0;
  const lock = <T>(work: () => Promise<T>): Promise<T> => {
    asked++;
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
  return Object.defineProperty(lock, "asked", { get: () => asked }) as Lock;
}
