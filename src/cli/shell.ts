import { createInterface } from "node:readline/promises";
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
  /** Why some of the results could not be written; undefined if all were. */
  readonly lostOutput?: () => string | undefined;
  /** Asks the person at the terminal; absent where there is none. */
  readonly ask?: (question: string) => Promise<string>;
}

/** The shell of this process. The first Ctrl-C asks commands to finish the current step, a second one exits at once. */
export function processShell(): Shell {
  const controller = new AbortController();
  const { stdout, stderr } = process;
  const [out, err] = [stdout, stderr].map(unfailing) as [Unfailing, Unfailing];
  // A terminal that closes sends SIGHUP.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      err.write("\nfinishing the current step and saving; Ctrl-C again exits at once\n");
      controller.abort();
    });
  }
  const terminal = Boolean(stderr.isTTY) && !process.env.CI;
  return {
    out,
    err: {
      write: err.write,
      isTTY: terminal,
      get columns() {
        return stderr.columns ?? 80;
      },
    },
    signal: controller.signal,
    now: () => performance.now(),
    lostOutput: out.fault,
    ...(terminal && process.stdin.isTTY && { ask: askTerminal(controller.signal) }),
  };
}

interface Unfailing {
  readonly write: (text: string) => boolean;
  /** Why something was not written, unless the reader has gone. */
  readonly fault: () => string | undefined;
}

/**
 * A stream that never ends a command. A reader who leaves, as in `klamp … | head`, a terminal that is closed or a disk that is
 * full makes it silent: what a run writes into its folder matters more.
 */
function unfailing(stream: NodeJS.WriteStream): Unfailing {
  let fault: NodeJS.ErrnoException | undefined;
  stream.on("error", (error) => {
    fault ??= error;
  });
  return {
    write: (text) => {
      try {
        return stream.write(text);
      } catch (error) {
        fault ??= error as NodeJS.ErrnoException;
        return false;
      }
    },
    fault: () => (fault === undefined || fault.code === "EPIPE" ? undefined : fault.message),
  };
}

function askTerminal(signal: AbortSignal): NonNullable<Shell["ask"]> {
  return async (question) => {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await lines.question(question, { signal });
    } finally {
      lines.close();
    }
  };
}
