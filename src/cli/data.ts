import { resolve } from "node:path";
import type { Command } from "commander";
import { UserError } from "../common/errors.ts";
import { loadConfig } from "../config/file.ts";
import { type Preview, type PreviewLine, previewData } from "../run/index.ts";
import { downloadLine } from "./download-line.ts";
import type { Shell } from "./shell.ts";
import { collect } from "./train.ts";

const HELP = `
Shows the first lines as they are trained: [what is learned] in brackets, or in colour on a
terminal, what is only read as it is, tokens that end an answer with a mark (⏎). Then lengths, what
was cut or left out, lines that are there twice, and questions of the evaluation that are trained.
With a configuration it is the run's own template, lengths and masks.

--json prints an object for each line:
  {"line": 1, "tokens": [...], "weights": [...], "stop": [...], "regularizers": {"NAME": [...]}}
weights[i] is how much predicting tokens[i] counts, regularizers those of each regularizer that
works on the completions.

Examples:
  klamp data --config config.yaml
  klamp data train.jsonl --model ./models/base --lines 10
`;

interface Options {
  readonly model?: string;
  readonly config?: string;
  readonly set?: string[];
  readonly lines?: string;
  readonly json?: boolean;
}

export function registerData(program: Command, shell: Shell): void {
  program
    .command("data")
    .argument("[file]", "a file of data (default: the configuration's)")
    .description("show data as a run would train it: tokens, what is learned, lengths, duplicates, leaks")
    .option("--model <model>", "a model folder or a hub name, for a file without a configuration")
    .option("--config <file>", "YAML configuration, as for train; paths in it count from its folder")
    .option("--set <key=value>", "change one setting, as often as needed", collect)
    .option("--lines <number>", "how many lines are shown (default 3)")
    .option("--json", "one JSON object a line, of all lines")
    .addHelpText("after", HELP)
    .action(async (file: string | undefined, { model, config, set, lines = "3", json }: Options) => {
      const shown = Number(lines);
      if (!(Number.isInteger(shown) && shown >= 0)) {
        throw new UserError(`--lines is ${lines}, expected a whole number of at least 0.`);
      }
      const path = file === undefined ? undefined : resolve(file);
      const download = downloadLine(shell.err, shell.now);
      const locate = { beside: process.cwd(), signal: shell.signal, onDownload: download.show };
      let preview: Preview;
      if (config !== undefined) preview = await previewData({ config: loadConfig(config, set), file: path }, locate);
      else if (model !== undefined && path !== undefined) preview = await previewData({ model, file: path }, locate);
      else {
        throw new UserError(
          "data needs a configuration, as in `klamp data --config config.yaml`, or a file and a model, as in `klamp data train.jsonl --model ./models/base`.",
        );
      }
      download.done();
      if (json) {
        const { stop } = preview.tokenizer;
        for (const each of preview.lines) {
          const { line, tokens, weights, regularizers } = each;
          const masks = config === undefined ? {} : { regularizers };
          shell.out.write(`${JSON.stringify({ line, tokens, weights, stop, ...masks })}\n`);
        }
        for (const notice of preview.notices) shell.err.write(`${notice}\n`);
        return;
      }
      const colour = Boolean(shell.err.isTTY);
      for (const each of preview.lines.slice(0, shown)) shell.out.write(`${showLine(each, preview, colour)}\n`);
      shell.out.write(summaryOf(preview));
    });
}

const GREEN = "\u001b[32m";
const PLAIN = "\u001b[0m";

/** A line of data as text, neighbours that count alike together. */
function showLine(
  { source, tokens, weights, regularizers }: PreviewLine,
  { tokenizer }: Preview,
  colour: boolean,
): string {
  const learned = weights.filter((weight) => weight > 0).length;
  const ends = tokens.map((id) => (tokenizer.stop.includes(id) ? "⏎" : ""));
  const masked = Object.entries(regularizers)
    .map(([name, mask]) => `, ${mask.filter((weight) => weight > 0).length} under ${name}`)
    .join("");
  const runs: string[] = [];
  for (let from = 0; from < tokens.length; ) {
    let to = from + 1;
    while (to < tokens.length && weights[to] === weights[from] && ends[to - 1] === "") to++;
    const text = tokenizer.decode(tokens.slice(from, to), { specialTokens: true }) + ends[to - 1]!;
    const weight = weights[from]!;
    const mark = weight === 1 || weight === 0 ? "" : `×${weight}`;
    runs.push(weight === 0 ? text : colour ? `${GREEN}${text}${PLAIN}${mark}` : `[${text}]${mark}`);
    from = to;
  }
  return `${source}: ${tokens.length} tokens, ${learned} learned${masked}\n${runs.join("")}\n`;
}

function summaryOf({ lines, regularizers, notices, duplicates, leaks }: Preview): string {
  const lengths = lines.map(({ tokens }) => tokens.length).sort((a, b) => a - b);
  const learned = lines.reduce((sum, { weights }) => sum + weights.filter((weight) => weight > 0).length, 0);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const median = lengths[Math.floor(lengths.length / 2)]!;
  const [[again, first] = []] = duplicates;
  const [leak] = leaks;
  const count = (number: number) => number.toLocaleString("en-US");
  return [
    `lines       ${count(lines.length)}`,
    `tokens      ${count(total)}, ${count(learned)} learned`,
    `lengths     ${lengths[0]} to ${lengths.at(-1)}, median ${median}`,
    `duplicates  ${duplicates.size}${again && first ? `, such as ${again.source} of ${first.source}` : ""}`,
    `leaks       ${leaks.length}${leak ? `, such as ${leak.line.source}, which ${leak.question} asks` : ""}`,
    ...Object.entries(regularizers).map(([name, text]) => {
      const elsewhere = text.includes("the completions") ? "" : ", not on these lines";
      return `held        ${name} works ${text}${elsewhere}`;
    }),
    ...notices.map((notice) => `note        ${notice}`),
  ]
    .map((line) => `${line}\n`)
    .join("");
}
