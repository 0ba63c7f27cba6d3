import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import type { Step } from "../loss/contract.ts";
import type { Reference, ReferenceRows } from "./contract.ts";
import type { NormalizeRows } from "./normalize-rows.ts";
import { type Finish, rowsOpener } from "./open-rows.ts";
import type { RowCache } from "./row-cache.ts";

/** Data of which a reference is to be asked in a step: no datum twice. */
export interface Asked {
  readonly data: readonly Datum[];
  /** Where each stands in the batch, for messages. */
  readonly indices: readonly number[];
  readonly step: Step;
}

/** How a reference comes by its rows. */
export interface RowSource<Rows extends ReferenceRows> {
  readonly description: string;
  /** The rows of whole data, in their order. Rejects when `step.signal` is aborted, as soon as it may. */
  readonly read: (asked: Asked) => Promise<readonly Rows[]>;
  /** Checks the rows of each datum, and converts them. Default: they are taken as they are. */
  readonly normalizeRows?: NormalizeRows | undefined;
  /** What the rows of spans become before they are handed out. Default: nothing else. */
  readonly finish?: Finish<Rows> | undefined;
  /** Keeps rows that do not change from step to step. Default: every step asks again. */
  readonly cache?: RowCache<Datum, Rows> | undefined;
}

/**
 * A reference that asks about each datum once a step, however many begin it. A failure is that of all who share the step; the
 * next step asks again.
 */
export function sharedReference<Rows extends ReferenceRows>({
  description,
  read,
  normalizeRows,
  finish,
  cache,
}: RowSource<Rows>): Reference<Rows> {
  const steps = new WeakMap<Step, Map<Datum, Promise<Rows>>>();
  const open = rowsOpener(description, finish);
  const readNormalized = async (asked: Asked): Promise<readonly Rows[]> => {
    const { data, indices } = asked;
    const answer = await read(asked);
    if (answer.length !== data.length) {
      throw new UserError(
        `the reference (${description}) returned ${answer.length} tensors for ${data.length} datums: return one [M, V] per datum, in their order`,
      );
    }
    if (!normalizeRows) return answer;
    return answer.map((rows, i) => normalizeRows(data[i]!, indices[i]!, rows) as Rows);
  };
  return {
    description,
    begin: async (data, step) => {
      step.signal?.throwIfAborted();
      const known = steps.get(step) ?? new Map<Datum, Promise<Rows>>();
      steps.set(step, known);
      const unknown = new Map<Datum, number>();
      for (const [index, datum] of data.entries()) {
        if (known.has(datum) || unknown.has(datum)) continue;
        const cached = cache?.get(datum);
        if (cached) known.set(datum, Promise.resolve(cached));
        else unknown.set(datum, index);
      }
      if (unknown.size > 0) {
        const answer = readNormalized({ data: [...unknown.keys()], indices: [...unknown.values()], step });
        for (const [i, datum] of [...unknown.keys()].entries()) {
          known.set(
            datum,
            answer.then((rows) => rows[i]!),
          );
        }
      }
      // A map of the step's own: whatever gives way in the cache stays here.
      const rows = await Promise.all(data.map((datum) => known.get(datum)!));
      cache?.keep(new Map(data.map((datum, i) => [datum, rows[i]!])));
      return open(data, rows);
    },
  };
}

/** Asks, and gives a failure the reference's name; once the signal is aborted the failure is the signal's reason. */
export async function namingReference<T>(
  description: string,
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    signal?.throwIfAborted();
    const message = `the reference ${description} failed: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw cause instanceof UserError ? new UserError(message, { cause }) : new Error(message, { cause });
  }
}
