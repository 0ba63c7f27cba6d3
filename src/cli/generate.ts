import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { type Command, InvalidArgumentError } from "commander";
import { UserError } from "../common/errors.ts";
import {
  ANSWER_DEFAULTS,
  type Answerer,
  type AnswerOptions,
  openAnswerer,
  type Prompt,
  promptJson,
  readPrompts,
} from "../run/index.ts";
import { downloadLine } from "./download-line.ts";
import type { Shell } from "./shell.ts";
import { collect } from "./train.ts";

const HELP = `
A prompt is a user's turn where the model has a chat template, unless --raw is given; a text that
is continued where it has none. --file reads a file of data as train does (JSON lines, a JSON list,
CSV, Parquet; "prompt", "messages", …), of which answers are left out, or plain text, one prompt a
line. Without either, a terminal gets a chat (an empty line ends it), and what is piped in is the
prompt. A run is asked in the chat template that it was trained with.

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
    .option("--file <file>", "a file of prompts: data, or text with one a line")
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
        const prompts = await promptsOf(options, answerer);
        if (prompts) await answerAll(prompts, options, answerer, shell);
        else await chat(options, answerer, shell);
      } finally {
        await answerer.close();
      }
    });
}

/** The prompts that are given; null where the terminal asks. */
async function promptsOf({ prompt, file, raw }: Options, { hasChat }: Answerer): Promise<Prompt[] | null> {
  const asked = (of: Prompt): Prompt =>
    typeof of === "string" && hasChat && !raw ? { messages: [{ role: "user", content: of }] } : of;
  if (prompt !== undefined) return [asked(prompt)];
  if (file !== undefined) return (await readPrompts(file)).map(asked);
  if (process.stdin.isTTY) return null;
  const piped = readFileSync(0, "utf8").replace(/\n$/, "");
  if (piped === "")
    throw new UserError("there is nothing to answer: give --prompt, --file, or a text on standard input.");
  return [asked(piped)];
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
      if (options.json) {
        const answer = JSON.stringify({ model, text, tokens, stop_reason });
        out.write(`{"prompt":${promptJson(prompt)},${answer.slice(1)}\n`);
      } else if (which.length > 1 || prompts.length > 1) out.write(`${i + 1} ${model.padEnd(8)} ${text.trim()}\n`);
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
