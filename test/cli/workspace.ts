import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { runCommandLine } from "../../src/cli/program.ts";

/** @file A folder with data and a configuration around the fixture's model, and ways to run the command line on it. */

export const FIXTURE = fileURLToPath(new URL("../fixtures/llama/", import.meta.url));
const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export type Json = Readonly<Record<string, unknown>>;

/** How a command line ended: its exit code and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process. */
export async function klamp(...args: string[]): Promise<Ended> {
  const [out, err]: string[][] = [[], []];
  const code = await runCommandLine(args, {
    out: { write: (text) => out!.push(text) },
    err: { write: (text) => err!.push(text) },
    signal: new AbortController().signal,
    now: () => performance.now(),
  });
  return { code, out: out!.join(""), err: err!.join("") };
}

/** Starts a command line in a process of its own; `ended` comes when it is over, however it ended. */
export function startKlamp(...args: string[]): { readonly process: ChildProcess; readonly ended: Promise<Ended> } {
  const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err]: string[][] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => out!.push(chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => err!.push(chunk.toString()));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out: out!.join(""), err: err!.join("") }));
  });
  return { process: child, ended };
}

/** A small working configuration. */
const CONFIG = {
  model: join(FIXTURE, "model"),
  data: { train: "./train.jsonl" },
  train: { steps: 2, batch_size: 4 },
  evaluate: { drift_samples: 0 },
  output: "./run",
};

/** Questions and answers, some for training and others not. */
const LINES = Array.from({ length: 12 }, (_, i) => ({ prompt: `Is ${i} odd?`, completion: i % 2 ? " yes" : " no" }));

/** A folder with `train.jsonl`, `test.jsonl` and whatever else is written into it, until the test is over. */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), "klamp-cli-"));

  constructor() {
    onTestFinished(() => rmSync(this.folder, { recursive: true }));
    this.write("train.jsonl", jsonLines(LINES.slice(0, 8)));
    this.write("test.jsonl", jsonLines(LINES.slice(8)));
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Writes text or, as JSON, anything else; returns the path. */
  write(name: string, content: unknown): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  }

  /** Writes a configuration, JSON being YAML too: the small working one with other top-level keys on top. */
  config(changes: Json = {}): string {
    return this.write("config.yaml", { ...CONFIG, ...changes });
  }

  /** Trains as the configuration says, in this process. */
  train(changes: Json = {}, ...args: string[]): Promise<Ended> {
    return klamp("train", "--config", this.config(changes), ...args);
  }

  /** A copy of the fixture's folder `from`, to be damaged. */
  copy(from: string, to = from): string {
    cpSync(join(FIXTURE, from), this.path(to), { recursive: true });
    return this.path(to);
  }

  read(...names: string[]): string {
    return readFileSync(this.path(...names), "utf8");
  }

  json(...names: string[]): Json {
    return JSON.parse(this.read(...names)) as Json;
  }

  /** The steps that a run recorded. */
  metrics(run = "run"): Readonly<Record<string, number>>[] {
    const text = this.read(run, "metrics.jsonl");
    if (!text.endsWith("\n")) throw new Error("the last line of metrics.jsonl was cut off");
    return text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, number>);
  }

  /** Every file below the folder with its content, to see that nothing changed. */
  everything(folder = this.folder): Map<string, string> {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true });
    return new Map(
      files.map((file) => {
        const path = join(file.parentPath, file.name);
        return [path, file.isFile() ? readFileSync(path, "latin1") : "folder"];
      }),
    );
  }
}

export function jsonLines(lines: readonly unknown[]): string {
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}
