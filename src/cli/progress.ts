import { HEADLINES } from "../config/metrics.ts";
import type { StepMetrics } from "../run/index.ts";

/**
 * One dense line about a step.
 *
 * @param secondsLeft NaN when it is not known yet.
 * @param weightMoves whether to show the weight of what is measured too, as its factor.
 * @example "step 120/300  loss 1.234  ce 1.100  kl 0.134  lr 2.1e-3  8,123 tok/s  0:21 left", or "kl 0.134×0.52"
 */
export function formatStep(row: StepMetrics, steps: number, secondsLeft: number, weightMoves = false): string {
  const measured = measuredIn(row);
  const weight = weightMoves && row.weight !== undefined ? `×${row.weight.toPrecision(2)}` : "";
  return [
    `step ${String(row.step).padStart(String(steps).length)}/${steps}`,
    `loss ${row.loss.toFixed(3)}`,
    `ce ${row.cross_entropy.toFixed(3)}`,
    ...(measured === undefined ? [] : [`${measured.short} ${measured.value.toFixed(3)}${weight}`]),
    `lr ${row.learning_rate.toExponential(1)}`,
    `${Math.round(row.tokens_per_second).toLocaleString("en-US")} tok/s`,
    ...(Number.isNaN(secondsLeft) ? [] : [`${formatDuration(secondsLeft)} left`]),
  ].join("  ");
}

/** The first regularizer's metric in the order of kinds; with several of one kind the first one's. */
function measuredIn(row: StepMetrics): { readonly short: string; readonly value: number } | undefined {
  for (const { metric, short } of HEADLINES) {
    const value = row[metric] ?? Object.entries(row).find(([name]) => name.endsWith(`/${metric}`))?.[1];
    if (value !== undefined) return { short, value };
  }
  return undefined;
}

/** `0:21`, `12:05`, `1:02:03`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Where progress is written: standard error, or anything like it. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface Progress {
  /** Shows a step. */
  step(row: StepMetrics): void;
  /** Shows a line of its own that stays, such as what is being done before the first step. */
  note(text: string): void;
  /** Ends the line that is being rewritten, if any. */
  done(): void;
}

/** Without a terminal a line is due after so many seconds, or after a tenth of all that is to be done. */
const SECONDS_BETWEEN_LINES = 5;
const CLEAR_LINE = "\r\u001b[2K";

/**
 * Shows a run's progress: on a terminal one line that is rewritten in place, elsewhere a line now and then.
 *
 * @param now milliseconds of any clock that only goes forward.
 */
export function createProgress(steps: number, stream: ProgressStream, now: () => number): Progress {
  const line = progressLine(steps, stream, now);
  let first: StepMetrics | undefined;
  let weightMoves = false;
  return {
    step: (row) => {
      first ??= row;
      weightMoves ||= row.weight !== first.weight;
      line.show(row.step, (secondsLeft) => formatStep(row, steps, secondsLeft, weightMoves));
    },
    note: (text) => {
      line.done();
      stream.write(`${text}\n`);
    },
    done: line.done,
  };
}

/** A line about how far something is. */
export interface ProgressLine {
  /** Shows that so much is done; `secondsLeft` is NaN when it is not known yet. */
  show(done: number, format: (secondsLeft: number) => string): void;
  /** Ends the line that is being rewritten, if any. */
  done(): void;
}

/**
 * @param total of whatever is counted.
 * @param tenths whether each tenth of it is worth a line where there is no terminal, however little time it took.
 */
export function progressLine(
  total: number,
  stream: ProgressStream,
  now: () => number,
  { tenths = true } = {},
): ProgressLine {
  let first: { readonly time: number; readonly done: number } | undefined;
  let lastLine = { time: Number.NEGATIVE_INFINITY, done: Number.NEGATIVE_INFINITY };
  let open = false;
  return {
    show: (done, format) => {
      const time = now();
      // The first time also builds what later ones reuse, so the time left is judged by the later ones.
      first ??= { time, done };
      const pace = (time - first.time) / 1000 / (done - first.done);
      const line = format((total - done) * pace);
      if (stream.isTTY) {
        stream.write(CLEAR_LINE + squeeze(line, (stream.columns ?? 200) - 1));
        open = true;
      } else if (
        time - lastLine.time >= SECONDS_BETWEEN_LINES * 1000 ||
        (tenths && (done === total || done - lastLine.done >= total / 10))
      ) {
        stream.write(`${line}\n`);
        lastLine = { time, done };
      }
    },
    done: () => {
      if (open) stream.write("\n");
      open = false;
    },
  };
}

/** A line of at most so many characters: set tighter if need be, and then cut. */
function squeeze(line: string, width: number): string {
  return line.length <= width ? line : line.replaceAll(/ +/g, " ").slice(0, width);
}

/** A phase that takes longer than this shows how far it is. */
const QUIET_SECONDS = 1;

/** How far a phase is: `drawing 200 samples  40 %  0:12 left`. */
export function phaseLine(
  stream: ProgressStream,
  now: () => number,
): Pick<ProgressLine, "done"> & { show(what: string, share: number): void } {
  let phase: { readonly what: string; readonly since: number; readonly line: ProgressLine } | undefined;
  const done = () => {
    phase?.line.done();
    phase = undefined;
  };
  return {
    show: (what, share) => {
      if (phase?.what !== what) {
        done();
        phase = { what, since: now(), line: progressLine(1, stream, now, { tenths: false }) };
      }
      if (now() - phase.since < 1000 * QUIET_SECONDS) return;
      const percent = `${Math.floor(100 * share)} %`;
      phase.line.show(share, (seconds) =>
        [what, percent, ...(Number.isFinite(seconds) ? [`${formatDuration(seconds)} left`] : [])].join("  "),
      );
    },
    done,
  };
}
