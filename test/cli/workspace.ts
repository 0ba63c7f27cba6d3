import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { runCommandLine } from "../../src/cli/program.ts";

/** @file A folder with data and a configuration around the fixture's model, and ways to run the command line on it. */

export const FIXTURE = fileURLToPath(new URL("../fixtures/llama/", import.meta.url));

/** What starts a command line in a process of its own, before its arguments. */
export const KLAMP = [
  process.execPath,
  "--import",
  import.meta.resolve("tsx"),
  fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url)),
] as const;

export type Json = Readonly<Record<string, unknown>>;

/** How a command line ended: its exit code and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process. */
export function klamp(...args: string[]): Promise<Ended> {
  return klampUntil(() => false, ...args);
}

/** Runs a command line in this process, and interrupts it once what it has written on standard error is enough. */
export async function klampUntil(isEnough: (err: string) => boolean, ...args: string[]): Promise<Ended> {
  const controller = new AbortController();
  let [out, err] = ["", ""];
  const code = await runCommandLine(args, {
    out: { write: (text) => (out += text) },
    err: {
      write: (text) => {
        err += text;
        if (isEnough(err)) controller.abort();
      },
    },
    signal: controller.signal,
    now: () => performance.now(),
  });
  return { code, out, err };
}

/** A command line in a process of its own. */
export interface Running {
  signal(name: NodeJS.Signals): void;
  /** Comes when standard error matches. */
  says(pattern: RegExp): Promise<void>;
  readonly ended: Promise<Ended>;
}

export function startKlamp(...args: string[]): Running {
  const child = spawn(KLAMP[0], [...KLAMP.slice(1), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
  const says = async (pattern: RegExp) => {
    while (!pattern.test(err)) {
      const over = await Promise.race([ended, setTimeout(20, null)]);
      if (over && !pattern.test(err)) throw new Error(`it ended without saying ${pattern}, but: ${err}`);
    }
  };
  return { signal: (name) => child.kill(name), says, ended };
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

  /** @param keep whether it outlives the test, or is made outside of one. */
  constructor({ keep = false } = {}) {
    if (!keep) onTestFinished(() => rmSync(this.folder, { recursive: true }));
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
