import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Order, Told } from "./child.ts";
import { KINDS } from "./kinds/index.ts";

/** A case that ended neither in a result nor in a sentence. */
export interface Fault {
  readonly kind: string;
  readonly case: number;
  readonly error: string;
}

/** What became of the cases of one kind. */
export interface Tally {
  readonly kind: string;
  readonly cases: number;
  readonly well: number;
  readonly refused: number;
  readonly seconds: number;
  readonly mostMegabytes: number;
  readonly faults: readonly Fault[];
}

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));
/** A case that takes longer hangs. */
const MOST_SECONDS = 10;

/** Runs so many cases, each kind its share, in processes that may be ended. */
export async function fuzz(cases: number, seed: number, only?: string): Promise<Tally[]> {
  const kinds = KINDS.filter(({ name }) => only === undefined || name === only);
  const shares = kinds.reduce((sum, { share }) => sum + share, 0);
  const tallies: Tally[] = [];
  for (const { name, share } of kinds) tallies.push(await runKind(name, Math.ceil((cases * share) / shares), seed));
  return tallies;
}

async function runKind(kind: string, count: number, seed: number): Promise<Tally> {
  const faults: Fault[] = [];
  let [from, well, refused, mostMegabytes] = [0, 0, 0, 0];
  const started = performance.now();
  while (from < count) {
    const ended = await runChild({ kind, seed, from, count: count - from }, (fault) => faults.push({ kind, ...fault }));
    well += ended.well;
    refused += ended.refused;
    mostMegabytes = Math.max(mostMegabytes, ended.mostMegabytes);
    if (ended.begun < count) faults.push({ kind, case: ended.begun, error: ended.why });
    from = ended.begun + 1;
  }
  const seconds = (performance.now() - started) / 1000;
  return { kind, cases: count, well, refused, seconds, mostMegabytes, faults };
}

type Begun = Extract<Told, { begun: number }>;

/** How far a process came, and why it ended if that is not the end. */
type Ended = Begun & { readonly why: string };

function runChild(order: Order, onFault: (fault: { case: number; error: string }) => void): Promise<Ended> {
  return new Promise((resolve) => {
    const child = fork(CHILD, {
      execArgv: ["--import", "tsx", "--max-old-space-size=900"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let [hung, errors] = [false, ""];
    let begun: Begun = { begun: order.from, well: 0, refused: 0, mostMegabytes: 0 };
    let timer = watch(
      child,
      () => {
        hung = true;
      },
      60,
    );
    child.stderr!.on("data", (text) => {
      errors = `${errors}${text}`.slice(-2000);
    });
    child.on("message", (told: Told) => {
      clearTimeout(timer);
      timer = watch(
        child,
        () => {
          hung = true;
        },
        MOST_SECONDS,
      );
      if ("begun" in told) begun = told;
      else onFault(told.fault);
    });
    child.send(order);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const why = hung ? `it took more than ${MOST_SECONDS} s` : `the process ended (${signal ?? code}): ${errors}`;
      resolve({ ...begun, why });
    });
  });
}

function watch(child: ChildProcess, onHang: () => void, seconds: number): NodeJS.Timeout {
  return setTimeout(() => {
    onHang();
    child.kill("SIGKILL");
  }, 1000 * seconds);
}
