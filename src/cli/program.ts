import { Command, CommanderError } from "commander";
import { UserError } from "../common/errors.ts";
import { version } from "../common/version.ts";
import { registerQuickstart } from "./quickstart.ts";
import { registerReference } from "./reference.ts";
import type { Shell } from "./shell.ts";
import { registerTrain } from "./train.ts";

/** Every command adds itself to the program. */
const COMMANDS = [registerQuickstart, registerTrain, registerReference];

const HELP = `
Examples:
  klamp train --help                                      a complete configuration to copy, every setting explained
  klamp train --config config.yaml                        fine-tune as the file says
  klamp train --config config.yaml --set train.steps=50   the same with one setting changed

Exit codes: 0 done; 2 something in the input to mend, one sentence says what; 130 interrupted, with what there was
saved; 1 a fault in klamp itself.
`;

/** The whole command line, without running it. */
export function createProgram(shell: Shell): Command {
  const program = new Command("klamp")
    .description("Fine-tunes language models with LoRA while a KL-divergence regularizer clamps them to their base.")
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

/** Runs one command line and returns its exit code. A mistake in the input takes one line; only faults show a stack. */
export async function runCommandLine(args: readonly string[], shell: Shell): Promise<number> {
  try {
    await createProgram(shell).parseAsync(args, { from: "user" });
    return shell.signal.aborted ? 130 : 0;
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
