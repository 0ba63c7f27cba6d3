import { type EvidenceLine, identity } from "./record.ts";
import { nameOf, SETS } from "./settings.ts";

/**
 * Fills every `<!-- table: SPLIT SET -->` … `<!-- end -->` of a page with the means over seeds of the runs of a set, and
 * `<!-- table: SPLIT SET by skill -->` with one row a skill and one column a setting.
 */
export function fillTables(text: string, lines: readonly EvidenceLine[]): string {
  const byIdentity = new Map(lines.map((line) => [identity(line, line.split), line]));
  return text.replace(
    /(<!-- table: (\w+) ([\w-]+)( by skill)? -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, open: string, split: string, set: string, bySkill: string | undefined, close: string) => {
      const found = (SETS[set] ?? []).flatMap((setting) => byIdentity.get(identity(setting, split)) ?? []);
      return `${open}${(bySkill ? skillTable : settingTable)(groups(found))}${close}`;
    },
  );
}

/** Runs that differ in their seed alone. */
function groups(lines: readonly EvidenceLine[]): EvidenceLine[][] {
  const found = new Map<string, EvidenceLine[]>();
  for (const line of lines) {
    const key = identity({ ...line, seed: 0 }, line.split);
    found.set(key, [...(found.get(key) ?? []), line]);
  }
  return [...found.values()];
}

function settingTable(groups: readonly EvidenceLine[][]): string {
  const rows = groups.map((lines) => {
    const [{ regularizer, learning_rate, alpha, steps }] = lines as [EvidenceLine];
    const each = (pick: (line: EvidenceLine) => number) => spread(lines.map(pick));
    return [
      nameOf(regularizer),
      `${learning_rate}`,
      `${alpha}`,
      `${steps}`,
      each(({ result }) => result.retention!),
      each(({ result }) => result.task!),
      percent(mean(lines.map(({ result }) => result.task_lenient!))),
      mean(lines.map(({ result }) => result.drift!)).toFixed(3),
    ];
  });
  return markdown(["regularizer", "learning rate", "alpha", "steps", "kept", "new task", "lenient", "drift"], rows);
}

function skillTable(groups: readonly EvidenceLine[][]): string {
  const [{ base }] = groups[0] as [EvidenceLine];
  const rows = [
    ...Object.keys(base.skills).map((skill) => [
      skill,
      percent(base.skills[skill]!),
      ...groups.map((lines) =>
        both(
          lines,
          ({ skills }) => skills[skill]!,
          ({ skills_lenient }) => skills_lenient[skill]!,
        ),
      ),
    ]),
    [
      "**kept of the base**",
      "100 %",
      ...groups.map((lines) => `**${percent(mean(lines.map(({ result }) => result.retention!)))}**`),
    ],
    [
      "**new task**",
      percent(base.task!),
      ...groups.map(
        (lines) =>
          `**${both(
            lines,
            ({ task }) => task!,
            ({ task_lenient }) => task_lenient!,
          )}**`,
      ),
    ],
    ["drift, nats per token", "0", ...groups.map((lines) => mean(lines.map(({ result }) => result.drift!)).toFixed(3))],
  ];
  return markdown(["", "base", ...groups.map(([line]) => nameOf(line!.regularizer))], rows);
}

type Result = EvidenceLine["result"];

/** Strict, and lenient in brackets where it says something else. */
function both(
  lines: readonly EvidenceLine[],
  strict: (result: Result) => number,
  lenient: (result: Result) => number,
): string {
  const [exact, loose] = [strict, lenient].map((pick) => percent(mean(lines.map(({ result }) => pick(result)))));
  return exact === loose ? exact! : `${exact} (${loose})`;
}

/** The mean, and what the seeds gave. */
function spread(shares: readonly number[]): string {
  const each = shares.length > 1 ? ` (${shares.map((share) => (100 * share).toFixed(0)).join(", ")})` : "";
  return `${percent(mean(shares))}${each}`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}
