import { join } from "node:path";
import { diskFault } from "../common/disk-fault.ts";
import { writeReport } from "../report/index.ts";
import { type NamedRun, type RunSummary, reportData, writeSummary } from "../run/index.ts";

/** Writes `summary.json` and `report.html` of runs on one base into `folder`, and returns the summary. */
export function writeResults(folder: string, runs: readonly NamedRun[], title: string, started: Date): RunSummary {
  try {
    const summary = writeSummary(folder, runs, started);
    writeReport(join(folder, "report.html"), reportData(summary, runs, title));
    return summary;
  } catch (error) {
    throw diskFault(error, `write the summary and the report into ${folder}`, "What was trained is saved");
  }
}
