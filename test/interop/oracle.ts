import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { UserError } from "../../src/common/errors.ts";

/** @file transformers, tokenizers and PEFT, asked in a process of their own. */

const root = fileURLToPath(new URL("../../", import.meta.url));
export const PYTHON = `${root}.venv-interop/bin/python`;

/** The folders of real models that are here: scripts/interop/real-models.py makes them. */
export const REAL_MODELS = ["SmolLM2-135M-Instruct", "gemma-3-270m"]
  .map((name) => ({ name, folder: `${root}.models/${name}` }))
  .filter(({ folder }) => existsSync(folder));

export interface Oracle {
  /** @throws Error with Python's words, for a question that fails there. */
  ask<Answer>(question: string, values: Readonly<Record<string, unknown>>): Promise<Answer>;
}

/** Starts Python; it ends with the file's tests. */
export async function openOracle(): Promise<Oracle> {
  const script = fileURLToPath(new URL("oracle.py", import.meta.url));
  const child = spawn(PYTHON, [script], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, OMP_WAIT_POLICY: "passive", HF_HUB_OFFLINE: "1" },
  });
  afterAll(() => void child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error("Python ended before it had answered");
    return JSON.parse(value) as Readonly<Record<string, unknown>>;
  };
  await next();
  return {
    ask: async <Answer>(question: string, values: Readonly<Record<string, unknown>>) => {
      child.stdin.write(`${JSON.stringify({ ask: question, ...values })}\n`);
      const { answer, error } = await next();
      if (error !== undefined) throw new Error(String(error));
      return answer as Answer;
    },
  };
}

/** What `work` gives, or null where klamp refuses with a sentence. */
export function unlessRefused<Result>(work: () => Result): Result | null {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof UserError) return null;
    throw cause;
  }
}
