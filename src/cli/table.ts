import { greatest } from "../common/extremes.ts";
import type { Summary, SummaryRow } from "../run/index.ts";

/**
 * A table and an empty line; nothing when nothing was measured. Strict shares in percent, with the lenient ones in brackets
 * where they differ; `–` where nothing was measured.
 */
export function formatSummary({ base, runs }: Summary): string {
  const columns = [{ name: "base", ...base }, ...runs];
  const lines: string[][] = [["", ...columns.map(({ name }) => name)]];
  const line = (label: string, cell: (row: SummaryRow) => string) => lines.push([label, ...columns.map(cell)]);
  for (const skill of Object.keys(base.skills))
    line(skill, (row) => score(row.skills[skill], row.skills_lenient[skill]));
  if (base.retention !== null) line("kept of the base", ({ retention }) => share(retention));
  if (base.task !== null) line("new task", ({ task, task_lenient }) => score(task, task_lenient));
  if (base.validation) {
    line("validation loss", ({ validation }) => nats(validation?.cross_entropy));
    line("validation drift", ({ validation }) => nats(validation?.drift));
  }
  if (base.drift !== null) line("drift", ({ drift }) => nats(drift));
  if (lines.length === 1) return "";
  const widths = lines[0]!.map((_, i) => greatest(lines.map((cells) => cells[i]!.length)));
  return lines
    .map((cells) => cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("   "))
    .map((text) => `${text.trimEnd()}\n`)
    .concat("\n")
    .join("");
}

function share(value: number | null | undefined): string {
  return value == null ? "–" : `${(100 * value).toFixed(0)} %`;
}

function score(strict: number | null | undefined, lenient: number | null | undefined): string {
  return share(strict) === share(lenient) ? share(strict) : `${share(strict)} (${share(lenient)})`;
}

function nats(value: number | null | undefined): string {
  return value == null ? "–" : value.toFixed(3);
}
