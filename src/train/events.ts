import { channel } from "node:diagnostics_channel";
import type { Regularizer } from "../loss/legacy.ts";
import { ownMetrics } from "../loss/metrics.ts";
import type { StepMetrics } from "./metrics.ts";

/**
 * @file What training tells whoever listens, through `node:diagnostics_channel`. Nothing is made for channels that nobody
 * listens to. Times are milliseconds since 1970, durations seconds.
 */

/** Channel `klamp:step`: a step was taken. */
export interface StepEvent {
  /** Counted from 1, of `steps`. */
  readonly step: number;
  readonly steps: number;
  readonly started: number;
  readonly seconds: number;
  /** The step's line of `metrics.jsonl`. */
  readonly metrics: StepMetrics;
  /** One for each regularizer, as they are told to `klamp:regularizer` as well. */
  readonly regularizers: readonly RegularizerEvent[];
}

/** Channel `klamp:regularizer`: what a regularizer did in a step that was taken, or that it failed. */
export interface RegularizerEvent {
  readonly step: number;
  readonly name: string;
  /** When it was first asked in this step, and how long its answers took in all, references included. Absent for penalties on the adapter. */
  readonly started?: number;
  readonly seconds?: number;
  /** Its own metrics, without the name: `value`, `weight`, `contribution`, … Empty when it failed. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Why it failed; training then ends with it. */
  readonly error?: unknown;
}

const steps = channel("klamp:step");
const regularizers = channel("klamp:regularizer");

/** The time of one regularizer in one step. */
interface Timer {
  started: number;
  seconds: number;
}

/** Tells of the steps of one training. */
export class StepEvents {
  readonly #names: readonly string[];
  readonly #steps: number;
  readonly #timers = new Map<string, Timer>();
  #step = 0;
  #started = 0;

  /** @param names of all regularizers. */
  constructor(names: readonly string[], steps: number) {
    this.#names = names;
    this.#steps = steps;
  }

  begin(step: number): void {
    this.#step = step;
    this.#started = clock();
    this.#timers.clear();
  }

  /** The same regularizer, its time taken and its failure told. */
  watch(regularizer: Regularizer): Regularizer {
    const { name } = regularizer;
    return {
      name,
      compute: async (data, logprobs, options) => {
        if (!steps.hasSubscribers && !regularizers.hasSubscribers) return regularizer.compute(data, logprobs, options);
        const begun = clock();
        const timer = this.#timers.get(name) ?? { started: begun, seconds: 0 };
        this.#timers.set(name, timer);
        try {
          return await regularizer.compute(data, logprobs, options);
        } catch (error) {
          if (!options?.signal?.aborted) {
            const event: RegularizerEvent = {
              step: this.#step,
              name,
              started: begun,
              seconds: since(begun),
              metrics: {},
              error,
            };
            regularizers.publish(event);
          }
          throw error;
        } finally {
          timer.seconds += since(begun);
        }
      },
      observe: (step, measured) => regularizer.observe?.(step, measured),
    };
  }

  /** @param measured the metrics of all regularizers, `name/metric`. */
  end(row: StepMetrics, measured: Readonly<Record<string, number>>): void {
    if (!steps.hasSubscribers && !regularizers.hasSubscribers) return;
    const events = this.#names.map((name): RegularizerEvent => {
      return { step: row.step, name, ...this.#timers.get(name), metrics: ownMetrics(name, measured) };
    });
    for (const event of events) regularizers.publish(event);
    const event: StepEvent = {
      step: row.step,
      steps: this.#steps,
      started: this.#started,
      seconds: since(this.#started),
      metrics: row,
      regularizers: events,
    };
    steps.publish(event);
  }
}

function clock(): number {
  return performance.timeOrigin + performance.now();
}

function since(started: number): number {
  return (clock() - started) / 1000;
}
