import type { Found } from "./race.ts";

export interface ShapeResult {
  readonly rows: number;
  readonly vocabulary: number;
  readonly found: readonly Found[];
}

export interface Record {
  readonly date: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string };
  readonly rounds: number;
  readonly shapes: readonly ShapeResult[];
}

/** The tasks that contenders share, and what they are. */
const TASKS = {
  logits: "logits of both",
  against: "logits, log-probabilities of q",
  logprobs: "log-probabilities of both",
  value: "value alone, logits of both",
} as const;

/** Tasks that are not for comparison: what the machine gives at most. */
const LIMITS: readonly string[] = ["stream", "exponentials"];

/** The fastest round: what others do to the machine only adds. */
function best(found: readonly Found[], name: string, task: string): number | undefined {
  const entry = found.find((entry) => entry.name === name && entry.task === task);
  return entry && Math.min(...entry.seconds);
}

function limits({ rows, vocabulary, found }: ShapeResult) {
  const stream = Math.min(...found.filter(({ task }) => task === "stream").flatMap(({ seconds }) => seconds));
  const exponentials = found
    .filter(({ task }) => task === "exponentials")
    .map(({ name, seconds }) => `${milliseconds(Math.min(...seconds))} ms (${name})`);
  return { bandwidth: (12 * rows * vocabulary) / stream / 1e9, stream, exponentials };
}

const milliseconds = (seconds: number) => (1000 * seconds).toFixed(1);

/** One line per contender, one column per task: [milliseconds, how many times klamp's, share of the bandwidth]. */
function table(result: ShapeResult): { head: string[]; body: string[][] } {
  const { found } = result;
  const { stream } = limits(result);
  const klamp = baseline(result);
  const names = [...new Set(found.filter(({ task }) => task in TASKS).map(({ name }) => name))];
  const cell = (name: string, task: string) => {
    const seconds = best(found, name, task);
    if (seconds === undefined) return "";
    // A value alone reads two arrays and writes none.
    const share = (task === "value" ? 2 / 3 : 1) * (stream / seconds);
    const compared = name.startsWith("klamp")
      ? `${(100 * share).toFixed(0)} % of bandwidth`
      : `${(seconds / best(found, klamp, task)!).toFixed(1)} ×`;
    return `${milliseconds(seconds)} ms, ${compared}`;
  };
  return {
    head: ["", ...Object.values(TASKS)],
    body: names.map((name) => [name, ...Object.keys(TASKS).map((task) => cell(name, task))]),
  };
}

function extras({ found }: ShapeResult): string[] {
  return found
    .filter(({ name, task }) => name.startsWith("klamp") && !(task in TASKS) && !LIMITS.includes(task))
    .map(({ name, task, seconds }) => `${name}, ${task}: ${milliseconds(Math.min(...seconds))} ms`);
}

function describeLimits(result: ShapeResult): string {
  const { bandwidth, stream, exponentials } = limits(result);
  const megabytes = ((12 * result.rows * result.vocabulary) / 1e6).toFixed(0);
  return (
    `2 reads + 1 write are ${megabytes} MB: ${milliseconds(stream)} ms at the ${bandwidth.toFixed(1)} GB/s that this machine streams. ` +
    `One exponential per outcome, out of the cache and with nothing else, takes ${exponentials.join(", ")}; logits of both need two.`
  );
}

/** klamp's first: on the build that every Node and browser has, where this Node can be told to take it. */
function baseline({ found }: ShapeResult): string {
  return found[0]!.name;
}

const title = ({ rows, vocabulary }: ShapeResult) => `[${rows} × ${vocabulary}]`;

export function terminal(result: ShapeResult): string {
  const { head, body } = table(result);
  const widths = head.map((_, i) => Math.max(...[head, ...body].map((row) => row[i]!.length)));
  const lines = [head, ...body].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd(),
  );
  return [`${title(result)}  ${describeLimits(result)}`, ...lines, ...extras(result)].join("\n");
}

export function markdown({ date, machine, rounds, shapes }: Record): string {
  const versions = [
    ...new Set(shapes.flatMap(({ found }) => found.map(({ name, version }) => `${name.split(",")[0]} ${version}`))),
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  const one = (result: ShapeResult) => {
    const { head, body } = table(result);
    const rest = extras(result).map((extra) => `- ${extra}\n`);
    return `\n**${title(result)}** ${describeLimits(result)}\n\n${line(head)}${line(head.map(() => "---"))}${body.map(line).join("")}\n${rest.join("")}`;
  };
  return (
    `\n${date}, ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${versions.join(", ")}. Best of ${rounds} rounds; ` +
    `× is the time of ${baseline(shapes[0]!)}.\n${shapes.map(one).join("")}\n`
  );
}
