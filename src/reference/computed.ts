import { UserError } from "../common/errors.ts";
import { type RetryOptions, untilAborted, withRetries } from "../common/retry.ts";
import { type Datum, sameData } from "../data/datum.ts";
import { type Declared, intake } from "./intake.ts";
import type { Reference, ReferenceRows } from "./legacy.ts";
import { rowsOf } from "./rows-of.ts";

/**
 * Computes the reference of a batch: log-probabilities [M, V] (or a `topK`) per datum, in the order of the data. The signal
 * is aborted when the answer would come too late, or is not wanted any more.
 */
export type ComputeReference<Rows extends ReferenceRows = ReferenceRows> = (
  data: readonly Datum[],
  options: { readonly signal: AbortSignal },
) => readonly Rows[] | Promise<readonly Rows[]>;

/** How a reference is computed, and what is made of the answer. */
export interface ComputedOptions extends Declared, RetryOptions {
  /** For messages. Default `computeReference`. */
  readonly description?: string;
  /** Keep the answer for the latest data after it has come, for a reference that never changes. Default false. */
  readonly keepLatest?: boolean;
  /** Whether rows are checked, which reads them all once more. Default true; false is for a model in this process. */
  readonly check?: boolean;
}

/** A question under way or answered, and how many wait for it. */
interface Call<Rows> {
  readonly data: readonly Datum[];
  readonly answer: Promise<readonly Rows[]>;
  waiting: number;
  /** When nobody waits any more. */
  readonly abandon: (reason: unknown) => void;
}

/**
 * A reference computed on demand: once for a batch that is announced, whatever parts of it are asked for, and otherwise once
 * for all who ask for the same data while it is being computed. A try that fails or takes too long is repeated, unless it
 * failed with a `UserError`; a final failure is passed on with the reference's name, and not remembered. When all who wait
 * have aborted, so is the computation.
 *
 * @throws UserError that names the datum, for rows that are no log-probabilities.
 * @example
 * computedReference(async (data, { signal }) => askMyServer(data, signal), { timeout: 20_000, retries: 4 })
 */
export function computedReference<Rows extends ReferenceRows = ReferenceRows>(
  compute: ComputeReference<Rows>,
  { description = "computeReference", keepLatest = false, check = true, ...how }: ComputedOptions = {},
): Reference<Rows> {
  const takeIn = check ? intake(description, how) : (_: Datum, __: number, rows: Rows) => rows;
  /** By the batch announced: gone when the batch is. */
  const announced = new WeakMap<readonly Datum[], Call<Rows>>();
  let latest: Call<Rows> | undefined;

  const ask = async (data: readonly Datum[], signal: AbortSignal): Promise<readonly Rows[]> => {
    try {
      const answer: unknown = await withRetries((signal) => compute(data, { signal }), how, signal);
      if (!Array.isArray(answer)) throw new UserError("expected a list with one tensor per datum");
      return answer as readonly Rows[];
    } catch (cause) {
      signal.throwIfAborted();
      const message = `the reference ${description} failed: ${cause instanceof Error ? cause.message : String(cause)}`;
      throw cause instanceof UserError ? new UserError(message, { cause }) : new Error(message, { cause });
    }
  };

  const begin = (data: readonly Datum[], batch: readonly Datum[] | undefined): Call<Rows> => {
    const controller = new AbortController();
    const answer = ask(data, controller.signal).then((answer) => {
      if (answer.length === data.length) return answer.map((rows, i) => takeIn(data[i]!, i, rows) as Rows);
      throw new UserError(
        `the reference (${description}) returned ${answer.length} tensors for ${data.length} datums: return one [M, V] per datum, in their order`,
      );
    });
    const forget = () => {
      if (latest === call) latest = undefined;
    };
    const abandon = (reason: unknown) => {
      forget();
      if (batch) announced.delete(batch);
      controller.abort(reason);
    };
    const call = { data, answer, waiting: 0, abandon };
    answer.then(keepLatest ? undefined : forget, forget);
    latest = call;
    return call;
  };

  return {
    description,
    resolve: async (data, { batch, signal } = {}) => {
      signal?.throwIfAborted();
      const whole = batch ?? [...data];
      const call =
        (batch && announced.get(batch)) ?? (latest && sameData(latest.data, whole) ? latest : begin(whole, batch));
      if (batch && announced.get(batch) !== call) {
        announced.set(batch, call);
        // What failed is asked for again.
        call.answer.catch(() => announced.get(batch) === call && announced.delete(batch));
      }
      call.waiting++;
      const leave = () => {
        if (--call.waiting === 0) call.abandon(signal?.reason);
      };
      signal?.addEventListener("abort", leave, { once: true });
      try {
        const answer = await untilAborted(call.answer, signal);
        return sameData(whole, data) ? answer : pick(data, whole, answer, description);
      } finally {
        signal?.removeEventListener("abort", leave);
      }
    },
  };
}

function pick<Rows extends ReferenceRows>(
  data: readonly Datum[],
  batch: readonly Datum[],
  answer: readonly Rows[],
  description: string,
): Rows[] {
  const known = new Map<Datum, Rows>(batch.map((datum, i) => [datum, answer[i]!]));
  return data.map((datum) => {
    const found = rowsOf<Rows>(datum, (whole) => known.get(whole));
    if (found) return found;
    throw new Error(`the reference ${description} was asked for a datum that is not part of the batch announced to it`);
  });
}
