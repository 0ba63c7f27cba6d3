import type { Contender } from "./contenders.ts";

/** What was measured of one contender and task. */
export interface Found {
  readonly name: string;
  readonly version: string;
  readonly task: string;
  /** Of each round. */
  readonly seconds: readonly number[];
}

/** Sums over a whole matrix in float32 lose this much. */
const AGREEMENT = 2e-3;

/**
 * Everybody does every task once a round, so that a busy moment of the machine meets all alike. Another task is first in each
 * round: it finds nothing of its numbers in the cache, since others were at work. Two rounds warm up.
 *
 * @throws Error when a result differs from the first contender's: there is no point in how fast it was.
 */
export async function race(contenders: readonly Contender[], rounds: number): Promise<Found[]> {
  const each = contenders.map((contender) => contender.tasks.map((task) => ({ contender, task })));
  const entries = each.flat();
  const seconds = new Map<object, number[]>(entries.map((entry) => [entry, []]));
  let wanted: readonly number[] | undefined;
  for (let round = -2; round < rounds; round++) {
    const order = each.flatMap((tasks) => rotated(tasks, (round + 2) % tasks.length));
    for (const entry of order) {
      const { contender, task } = entry;
      const answer = await contender.ask(task);
      if (answer.check.length === 2) wanted ??= answer.check;
      for (const [i, found] of answer.check.entries()) {
        if (Math.abs(found - wanted![i]!) <= AGREEMENT * wanted![i]!) continue;
        throw new Error(`${contender.name} has ${answer.check} for "${task}", where ${wanted} is right`);
      }
      if (round >= 0) seconds.get(entry)!.push(answer.seconds);
    }
    process.stderr.write(round < 0 ? "warming up\n" : `round ${round + 1} of ${rounds}\n`);
  }
  return entries.map((entry) => ({
    name: entry.contender.name,
    version: entry.contender.version,
    task: entry.task,
    seconds: seconds.get(entry)!,
  }));
}

function rotated<T>(list: readonly T[], by: number): T[] {
  return [...list.slice(by), ...list.slice(0, by)];
}
