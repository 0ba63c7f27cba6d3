import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { writeFolderAtomic } from "../common/atomic-file.ts";
import { UserError } from "../common/errors.ts";

export type CheckpointKind = "weights" | "sampler_weights";

/** What a checkpoint's files do not say themselves. */
const about = z.object({ base_model: z.string(), lora_rank: z.number() });
export type About = z.infer<typeof about>;

const NAME = /^[A-Za-z0-9][\w.-]{0,127}$/;
const PATH = /^tinker:\/\/([^/]+)\/(weights|sampler_weights)\/([^/]+)$/;
const ABOUT_FILE = "checkpoint.json";

/** Checkpoints in a folder, by the paths that clients know: `tinker://<model>/weights/<name>`. */
export class Checkpoints {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Has `write` fill a folder, which then becomes the checkpoint whole. */
  async save(
    model: string,
    kind: CheckpointKind,
    name: string,
    overwrite: boolean,
    content: About,
    write: (folder: string) => Promise<void>,
  ): Promise<string> {
    if (!NAME.test(name))
      throw new UserError(`a checkpoint is named ${JSON.stringify(name)}, expected letters, digits, dots and dashes`);
    const folder = this.#folder(model, kind, name);
    const path = `tinker://${model}/${kind}/${name}`;
    if (existsSync(folder) && !overwrite)
      throw new UserError(`${path} is there already: choose another name, or ask to overwrite`);
    await mkdir(dirname(folder), { recursive: true });
    await writeFolderAtomic(folder, async (fresh) => {
      await write(fresh);
      await writeFile(join(fresh, ABOUT_FILE), JSON.stringify(content));
    });
    return path;
  }

  /** The folder behind a path. */
  async find(path: string): Promise<{ folder: string; about: About }> {
    const [, model = "", kind, name = ""] = PATH.exec(path) ?? [];
    const folder = this.#folder(model, kind === "weights" ? kind : "sampler_weights", name);
    if (!NAME.test(name) || !existsSync(folder))
      throw new UserError(`there is no checkpoint ${path} here, expected a path that a save returned`);
    return { folder, about: about.parse(JSON.parse(await readFile(join(folder, ABOUT_FILE), "utf8"))) };
  }

  #folder(model: string, kind: CheckpointKind, name: string): string {
    // Ids hold colons, which not every file system takes, and come from outside: no dots, no slashes.
    return join(this.#root, model.replace(/[^\w-]/g, "_"), kind, name);
  }
}
