import { resolve } from "node:path";
import type { Command } from "commander";
import { UserError } from "../common/errors.ts";
import { shownPath } from "../common/shown-path.ts";
import { findTrained, mergeAdapter } from "../run/index.ts";
import type { Shell } from "./shell.ts";

const HELP = `
Adds the adapter's update to the base's weights: W + scale·B·A, in the base's number types and
files. Tokenizer and configuration are copied. What results is an ordinary model folder, for
transformers, vLLM, llama.cpp's converters, and klamp.

Examples:
  klamp merge ./runs/first --output ./merged
  klamp merge ./adapter --model ./models/base --output ./merged
`;

export function registerMerge(program: Command, shell: Shell): void {
  program
    .command("merge")
    .argument("<trained>", "a run folder, or an adapter: a PEFT folder or a hub name")
    .description("merge a trained adapter into its base: a model folder of its own")
    .option("--output <folder>", "the model folder to write; it must not exist")
    .option("--model <model>", "the base model, a folder or a hub name (default: what the run or the adapter names)")
    .addHelpText("after", HELP)
    .action(async (folder: string, { output, model }: { output?: string; model?: string }) => {
      if (output === undefined) {
        throw new UserError(`merge needs a folder to write, as in \`klamp merge ${folder} --output ./merged\`.`);
      }
      const trained = await findTrained(folder, model, { beside: process.cwd(), signal: shell.signal });
      await mergeAdapter(trained.model.folder, trained.adapter, resolve(output), {
        signal: shell.signal,
        onShard: (done, of) => {
          if (of > 1) shell.err.write(`file ${done}/${of} written\n`);
        },
      });
      shell.out.write(`model    ${shownPath(resolve(output))}\n`);
    });
}
