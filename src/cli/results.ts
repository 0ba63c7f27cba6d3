import { join } from "node:path";
import { writeReport } from "../report/index.ts";
import { type NamedRun, type RunSummary, reportData, writeSummary } from "../run/index.ts";

/** Writes `summary.json` and `report.html` of runs on one base into `folder`, and returns the summary. */
export function writeResults(folder: string, runs: readonly NamedRun[], title: string, started: Date): RunSummary {
  const summary = writeSummary(folder, runs, started);
  writeReport(join(folder, "report.html"), reportData(summary, runs, title));
  return summary;
}
