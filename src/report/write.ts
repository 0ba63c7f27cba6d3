import { writeFileAtomic } from "../common/atomic-file.ts";
import { UserError } from "../common/errors.ts";
import type { ReportData } from "./data.ts";
import { renderReport } from "./report.ts";

/**
 * Renders the report into a file, whole or not at all.
 *
 * @throws UserError when the file cannot be written.
 */
export function writeReport(path: string, data: ReportData): void {
  const content = renderReport(data);
  try {
    writeFileAtomic(path, content);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new UserError(`cannot write the report ${path}: ${reason}; choose a path in an existing, writable folder`, {
      cause,
    });
  }
}
