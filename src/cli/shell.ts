import type { ProgressStream } from "./progress.ts";

/** What a command may touch of the process it runs in. */
export interface Shell {
  /** Results. */
  readonly out: { write(text: string): unknown };
  /** Progress and errors. */
  readonly err: ProgressStream;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

/** The shell of this process. The first Ctrl-C asks commands to finish the current step, a second one exits at once. */
export function processShell(): Shell {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      process.stderr.write("\nfinishing the current step and saving; Ctrl-C again exits at once\n");
      controller.abort();
    });
  }
  const { stdout, stderr } = process;
  for (const stream of [stdout, stderr]) {
    // The reader has gone, as in `klamp … | head`: a run continues without it.
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
    });
  }
  const terminal = Boolean(stderr.isTTY) && !process.env.CI;
  return {
    out: stdout,
    err: {
      write: (text) => stderr.write(text),
      isTTY: terminal,
      get columns() {
        return stderr.columns ?? 80;
      },
    },
    signal: controller.signal,
    now: () => performance.now(),
  };
}
