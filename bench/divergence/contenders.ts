import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** Who can be asked to do what; one at a time. */
export interface Contender {
  readonly name: string;
  readonly version: string;
  readonly tasks: readonly string[];
  ask(task: string): Promise<Answer>;
  close(): void;
}

/** `check` is [mean KL, Σ|gradient of the first row|], as far as the task has them. */
export interface Answer {
  readonly seconds: number;
  readonly check: readonly number[];
}

const folder = fileURLToPath(new URL(".", import.meta.url));
/** Turns the relaxed build on where it is off without; newer Nodes have it anyway, and know no such flag. */
const RELAXED = "--experimental-wasm-relaxed-simd";

/** Starts a process for each contender, or for klamp `alone`, and waits until it has its numbers. */
export async function openContenders(rows: number, vocabulary: number, alone = false): Promise<Contender[]> {
  if (!alone && !existsSync(`${folder}node_modules`)) {
    console.log("installing TensorFlow.js into bench/divergence");
    execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder, stdio: "ignore" });
  }
  const node = (file: string, ...flags: string[]) => [
    process.execPath,
    "--import",
    "tsx",
    ...flags,
    `${folder}${file}`,
  ];
  const pinned = onOneCore();
  const one = [
    node("klamp.ts"),
    ...(works(process.execPath, [RELAXED, "-e", ""]) ? [node("klamp.ts", RELAXED)] : []),
    ...(alone
      ? []
      : [
          node("plain.ts"),
          node("jax.ts"),
          node("tfjs.mjs"),
          ...pythons().map((python) => [python, `${folder}python.py`]),
        ]),
  ];
  const contenders: Contender[] = [];
  for (const command of one) {
    contenders.push(...(await open([...pinned, ...command, `${rows}`, `${vocabulary}`])));
  }
  const threads = availableParallelism();
  if (threads > 1) contenders.push(...(await open([...node("klamp.ts"), `${rows}`, `${vocabulary}`, `${threads}`])));
  return contenders;
}

/** The command that holds another to one core, where there is one. */
function onOneCore(): string[] {
  return works("taskset", ["-c", "0", "true"]) ? ["taskset", "-c", "0"] : [];
}

/** The first Python that has NumPy, preferably with PyTorch. */
function pythons(): string[] {
  const candidates = ["python3", "/usr/bin/python3"];
  for (const needed of ["torch", "numpy"]) {
    const found = candidates.find((python) => works(python, ["-c", `import numpy, ${needed}`]));
    if (found) return [found];
  }
  console.log("no python3 with NumPy or PyTorch was found: they are left out");
  return [];
}

function works(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function open([command, ...args]: readonly string[]): Promise<Contender[]> {
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(command!, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${[command, ...args].join(" ")} ended before it had answered`);
    return JSON.parse(value);
  };
  const introduced: { name: string; version: string; tasks: string[] }[] = await next();
  return introduced.map(({ name, version, tasks }) => ({
    name,
    version,
    tasks,
    ask: async (task) => {
      child.stdin.write(`${JSON.stringify({ name, task })}\n`);
      return next();
    },
    close: () => child.stdin.end(),
  }));
}
