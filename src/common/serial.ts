export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** Runs work one piece at a time, in the order it was asked for; a piece that fails does not hold up those after it. */
export function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}
