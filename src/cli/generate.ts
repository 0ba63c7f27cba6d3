import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { type Command, InvalidArgumentError } from "commander";
import { UserError } from "../common/errors.ts";
import { readTextFile } from "../common/text-file.ts";
import { ANSWER_DEFAULTS, type Answerer, type AnswerOptions, openAnswerer, type Prompt } from "../run/index.ts";
import { downloadLine } from "./download-line.ts";
import type { Shell } from "./shell.ts";
import { collect } from "./train.ts";

const HELP = `
A prompt is a user's turn where the model has a chat template, unless --raw is given; a text that
is continued where it has none. --file reads one prompt a line: text, or JSON with "prompt" or
"messages". Without either, a terminal gets a chat (an empty line ends it), and what is piped in is
the prompt.

Examples:
  klamp generate --model ./models/base --prompt "What is the capital of France?"
  klamp generate --adapter ./runs/first --both --prompt "What is the capital of France?"
  klamp generate --adapter ./runs/first --file prompts.txt --temperature 0 --json
`;

interface Options {
  readonly model?: string;
  readonly adapter?: string;
  readonly both?: boolean;
  readonly prompt?: string;
  readonly file?: string;
  readonly raw?: boolean;
  readonly json?: boolean;
  readonly system?: string;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly seed?: number;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
}

export function registerGenerate(program: Command, shell: Shell): void {
  program
    .command("generate")
    .description("let a model answer: the base, what was trained, or both side by side")
    .option("--model <model>", "the base model: a folder or a hub name (default: the adapter's)")
    .option("--adapter <trained>", "a run folder, or an adapter: a PEFT folder or a hub name")
    .option("--both", "the base's answer beside the adapter's")
    .option("--prompt <text>", "what is asked")
    .option("--file <file>", "a file of prompts, one a line")
    .option("--raw", "continue the prompt as it is, without the chat template")
    .option("--system <text>", "a system turn before the prompt")
    .option("--temperature <number>", `0 is greedy (default ${ANSWER_DEFAULTS.temperature})`, number)
    .option("--top-p <number>", "draw from the likeliest tokens that make up this share", number)
    .option("--top-k <number>", "draw from so many of the likeliest tokens", number)
    .option("--seed <number>", `of the drawing (default ${ANSWER_DEFAULTS.seed})`, number)
    .option("--max-tokens <number>", `the longest answer (default ${ANSWER_DEFAULTS.max_tokens})`, number)
    .option("--stop <text>", "a text that ends an answer, as often as needed", collect)
    .option("--json", "one JSON object an answer")
    .addHelpText("after", HELP)
    .action(async (options: Options) => {
      if (options.prompt !== undefined && options.file !== undefined) {
        throw new UserError("give --prompt or --file, not both.");
      }
      if (options.both && options.adapter === undefined) {
        throw new UserError("--both compares with what was trained: give it with --adapter.");
      }
      const download = downloadLine(shell.err, shell.now);
      const locate = { beside: process.cwd(), signal: shell.signal, onDownload: download.show };
      const answerer = await openAnswerer({ model: options.model, trained: options.adapter }, locate).finally(
        download.done,
      );
      try {
        if (!options.json) for (const notice of answerer.notices) shell.err.write(`${notice}\n`);
        const prompts = promptsOf(options, answerer);
        if (prompts) await answerAll(prompts, options, answerer, shell);
        else await chat(options, answerer, shell);
      } finally {
        await answerer.close();
      }
    });
}

/** The prompts that are given; null where the terminal asks. */
function promptsOf({ prompt, file, raw }: Options, { hasChat }: Answerer): Prompt[] | null {
  const asked = (text: string): Prompt => (hasChat && !raw ? { messages: [{ role: "user", content: text }] } : text);
  if (prompt !== undefined) return [asked(prompt)];
  if (file !== undefined) {
    const lines = readText(file)
      .split("\n")
      .filter((line) => line.trim() !== "");
    if (lines.length === 0) throw new UserError(`${file} holds no prompt: write one a line.`);
    return lines.map((line, i) => lineOf(line, `${file}:${i + 1}`, asked));
  }
  if (process.stdin.isTTY) return null;
  const piped = readFileSync(0, "utf8").replace(/\n$/, "");
  if (piped === "")
    throw new UserError("there is nothing to answer: give --prompt, --file, or a text on standard input.");
  return [asked(piped)];
}

function readText(file: string): string {
  try {
    return readTextFile(file);
  } catch (cause) {
    throw new UserError(`${(cause as Error).message}; give a file of prompts.`, { cause });
  }
}

function lineOf(line: string, where: string, asked: (text: string) => Prompt): Prompt {
  if (!line.trimStart().startsWith("{")) return asked(line);
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line) as Record<string, unknown>;
  } catch (cause) {
    throw new UserError(`${where} begins as JSON and is none: ${(cause as Error).message}`, { cause });
  }
  if (typeof value.prompt === "string") return asked(value.prompt);
  if (Array.isArray(value.messages)) {
    const messages = value.messages as { role: string; content: string }[];
    // An answer that is there is what is asked for.
    return { messages: messages.at(-1)?.role === "assistant" ? messages.slice(0, -1) : messages };
  }
  throw new UserError(`${where} has neither \`prompt\` nor \`messages\`: give one of them, or plain text.`);
}

async function answerAll(prompts: readonly Prompt[], options: Options, answerer: Answerer, { out }: Shell) {
  const which = options.both ? answerer.models : answerer.models.slice(-1);
  const answers = new Map(
    await Promise.all(
      which.map(async (model) => [model, await answerer.answer(model, prompts, howOf(options))] as const),
    ),
  );
  for (const [i, prompt] of prompts.entries()) {
    for (const model of which) {
      const { text, tokens, stop_reason } = answers.get(model)![i]!;
      if (options.json) out.write(`${JSON.stringify({ prompt, model, text, tokens, stop_reason })}\n`);
      else if (which.length > 1 || prompts.length > 1) out.write(`${i + 1} ${model.padEnd(8)} ${text.trim()}\n`);
      else out.write(`${text}\n`);
    }
  }
}

/** Turns of a person and of the model, until an empty line. */
async function chat(options: Options, answerer: Answerer, { out, signal }: Shell) {
  const which = options.both ? answerer.models : answerer.models.slice(-1);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const histories = new Map(which.map((model) => [model, [] as { role: string; content: string }[]]));
  try {
    for (;;) {
      const text = await lines.question("> ", { signal }).catch(() => "");
      if (text.trim() === "") return;
      for (const model of which) {
        const history = histories.get(model)!;
        history.push({ role: "user", content: text });
        const prompt = answerer.hasChat && !options.raw ? { messages: history } : text;
        const [answer] = await answerer.answer(model, [prompt], howOf(options));
        history.push({ role: "assistant", content: answer!.text });
        out.write(`${which.length > 1 ? `${model.padEnd(8)} ` : ""}${answer!.text}\n`);
      }
    }
  } finally {
    lines.close();
  }
}

function howOf({ maxTokens, topK, topP, temperature, seed, stop, system }: Options): AnswerOptions {
  return { max_tokens: maxTokens, top_k: topK, top_p: topP, temperature, seed, stop, system };
}

function number(value: string): number {
  const parsed = Number(value);
  if (value.trim() !== "" && Number.isFinite(parsed)) return parsed;
  throw new InvalidArgumentError("expected a number.");
}
