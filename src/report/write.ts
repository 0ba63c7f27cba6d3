import { renameSync, rmSync, writeFileSync } from "node:fs";
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
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, content);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new UserError(
      `cannot write the report ${path}: ${(cause as Error).message}; give a path in a folder that exists and may be written`,
      { cause },
    );
  }
}
