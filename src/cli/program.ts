import { Command, CommanderError } from "commander";
import { UserError } from "../common/errors.ts";
import { version } from "../common/version.ts";
import { registerData } from "./data.ts";
import { registerGenerate } from "./generate.ts";
import { registerHelp, TOPIC_LINES } from "./help.ts";
import { registerMerge } from "./merge.ts";
import { registerQuickstart } from "./quickstart.ts";
import { registerReference } from "./reference.ts";
import type { Shell } from "./shell.ts";
import { registerTrain } from "./train.ts";

/** Every command adds itself to the program. */
const COMMANDS = [
  registerQuickstart,
  registerTrain,
  registerData,
  registerGenerate,
  registerMerge,
  registerReference,
  registerHelp,
];

/** Commands whose results are files. */
const RUNS = new Set(["train", "quickstart"]);

const HELP = `
Topics:
${TOPIC_LINES}
Examples:
  klamp quickstart
  klamp train --config config.yaml
  klamp train --config config.yaml --set train.steps=50

Exit codes: 0 done; 2 invalid input, the message says what to fix; 130 interrupted, completed steps
are saved; 1 an internal error.
`;

/** The whole command line, without running it. */
export function createProgram(shell: Shell): Command {
  const program = new Command("klamp")
    .description("Fine-tunes language models with LoRA while KL regularizers clamp them to their base.")
    .version(version())
    .addHelpText("after", HELP)
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => shell.out.write(text),
      writeErr: (text) => shell.err.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, "klamp: ")),
    })
    .showHelpAfterError("klamp --help shows the commands, klamp COMMAND --help how to use one.")
    .exitOverride();
  for (const register of COMMANDS) register(program, shell);
  return program;
}

/** Runs one command line and returns its exit code. Invalid input gives a message; only an internal error shows a stack. */
export async function runCommandLine(args: readonly string[], shell: Shell): Promise<number> {
  try {
    await createProgram(shell).parseAsync(args, { from: "user" });
    if (shell.signal.aborted) return 130;
    // A stream tells of a fault after the write.
    await new Promise((resolve) => setImmediate(resolve));
    const lost = shell.lostOutput?.();
    // What runs print stands in their folders.
    if (lost === undefined || RUNS.has(args[0]!)) return 0;
    shell.err.write(`klamp: the results could not be written to standard output: ${lost}\n`);
    return 2;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (shell.signal.aborted && error === shell.signal.reason) {
      shell.err.write("interrupted; nothing was written\n");
      return 130;
    }
    if (error instanceof UserError) {
      shell.err.write(`klamp: ${error.message}\n`);
      return 2;
    }
    shell.err.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}
