import { channel } from "node:diagnostics_channel";
import type { Regularizer } from "../regularizer/contract.ts";
import { type RegularizerResult, type StepMetrics, type StepResult, stepMetrics } from "./metrics.ts";

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
  /** What it measured and counted; absent when it failed. */
  readonly measured?: RegularizerResult;
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
  readonly #steps: number;
  readonly #timers = new Map<string, Timer>();
  #step = 0;
  #started = 0;

  constructor(steps: number) {
    this.#steps = steps;
  }

  begin(step: number): void {
    this.#step = step;
    this.#started = clock();
    this.#timers.clear();
  }

  /** The same regularizer, its time taken and its failure published. */
  watch(regularizer: Regularizer): Regularizer {
    const { name, weight, support, state } = regularizer;
    return {
      name,
      weight,
      ...(support && { support }),
      state,
      begin: async (batch, step) => {
        if (!steps.hasSubscribers && !regularizers.hasSubscribers) return regularizer.begin(batch, step);
        const timed = <T>(work: () => T | Promise<T>) => this.#timed(name, step.signal, work);
        const open = await timed(() => regularizer.begin(batch, step));
        return { add: (part, into) => timed(() => open.add(part, into)), end: () => open.end() };
      },
    };
  }

  async #timed<T>(name: string, signal: AbortSignal | undefined, work: () => T | Promise<T>): Promise<T> {
    const started = clock();
    const timer = this.#timers.get(name) ?? { started, seconds: 0 };
    this.#timers.set(name, timer);
    try {
      return await work();
    } catch (error) {
      if (!signal?.aborted) {
        const event: RegularizerEvent = { step: this.#step, name, started, seconds: since(started), error };
        regularizers.publish(event);
      }
      throw error;
    } finally {
      timer.seconds += since(started);
    }
  }

  end(result: StepResult): void {
    if (!steps.hasSubscribers && !regularizers.hasSubscribers) return;
    const { step } = result;
    const events = Object.entries(result.regularizers).map(([name, measured]): RegularizerEvent => {
      return { step, name, ...this.#timers.get(name), measured };
    });
    for (const event of events) regularizers.publish(event);
    const event: StepEvent = {
      step,
      steps: this.#steps,
      started: this.#started,
      seconds: since(this.#started),
      metrics: stepMetrics(result),
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
