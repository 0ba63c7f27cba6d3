import { costLines, type RunOptions } from "../run/index.ts";
import { downloadLine } from "./download-line.ts";
import { createProgress, type Progress, phaseLine } from "./progress.ts";
import type { Shell } from "./shell.ts";

/** What shows a run on standard error and lets Ctrl-C end it; `done` ends the line that is being rewritten. */
export type Follow = Required<
  Pick<RunOptions, "note" | "onCosts" | "onStep" | "onDownload" | "onProgress" | "signal">
> & {
  readonly done: () => void;
};

export function followRun({ err, now, signal }: Shell): Follow {
  let progress: Progress | undefined;
  const download = downloadLine(err, now);
  const phase = phaseLine(err, now);
  // Costs are shown when work begins: what is refused until then is answered with its sentence alone.
  let held = "";
  const done = () => {
    download.done();
    phase.done();
    progress?.done();
    progress = undefined;
  };
  const begin = () => {
    if (held !== "") err.write(held);
    held = "";
  };
  return {
    note: (text) => {
      done();
      begin();
      err.write(`${text}\n`);
    },
    onCosts: (costs) => {
      held = `${costLines(costs)}\n`;
    },
    onDownload: download.show,
    onProgress: phase.show,
    onStep: (row, steps) => {
      phase.done();
      progress ??= createProgress(steps, err, now);
      progress.step(row);
    },
    signal,
    done,
  };
}
