import { createHash } from "node:crypto";
import { copyFileSync, createReadStream, existsSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import { writeFileAtomic } from "../common/atomic-file.ts";
import { version } from "../common/version.ts";
import type { Config } from "../config/schema.ts";
import { findFiles } from "../data/files/find.ts";
import type { Summary } from "../drift/summary.ts";
import type { ModelFacts } from "../model/contract.ts";
import { describeRegularizers } from "./describe.ts";

/** @file What stands beside an adapter's matrices: a model card, and the tokenizer that it was trained with. */

/** What a card says of a run. */
export interface CardFacts {
  readonly config: Config;
  readonly model: ModelFacts;
  /** Updates made. */
  readonly steps: number;
  /** As `describeFiles` says it. */
  readonly trainedOn: string;
  /** What was measured; null where nothing was. */
  readonly measured: Pick<Summary, "base" | "runs" | "conclusion"> | null;
}

/** Files of a model folder that make its tokenizer. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
];

/**
 * Writes `README.md` into an adapter's folder, and copies the model's tokenizer there, with the chat template of the run.
 *
 * @param source the folder of the base model.
 */
export function completeAdapter(adapter: string, source: string, facts: CardFacts): void {
  for (const name of TOKENIZER_FILES) {
    if (existsSync(join(source, name))) copyFileSync(join(source, name), join(adapter, name));
  }
  const { chat_template } = facts.config.data;
  if (chat_template !== null) copyFileSync(chat_template, join(adapter, "chat_template.jinja"));
  writeCard(adapter, facts);
}

/** Writes `README.md` alone, in place of one that was there. */
export function writeCard(adapter: string, facts: CardFacts): void {
  writeFileAtomic(join(adapter, "README.md"), cardOf(facts));
}

function cardOf({ config, model, steps, trainedOn, measured }: CardFacts): string {
  // A path of this machine means nothing to others.
  const base = isAbsolute(model.name) ? basename(model.name) : model.name;
  const { lora, optimizer, train, regularizers } = config;
  const metadata = {
    ...(!isAbsolute(model.name) && { base_model: model.name }),
    library_name: "peft",
    pipeline_tag: "text-generation",
    tags: "[lora, klamp]",
  };
  const settings: Readonly<Record<string, string | number>> = {
    base,
    "rank, alpha": `${lora.rank}, ${lora.alpha}${lora.use_rslora ? " (rslora)" : ""}`,
    steps: `${steps} of ${train.batch_size} lines`,
    "learning rate": `${optimizer.learning_rate}, ${optimizer.schedule}`,
    regularizers: describeRegularizers(regularizers),
    seed: train.seed,
    "training data": trainedOn,
    klamp: version(),
  };
  const rows = Object.entries(settings).map(([key, value]) => `| ${key} | ${value} |`);
  return `---
${Object.entries(metadata)
  .map(([key, value]) => `${key}: ${value}`)
  .join("\n")}
---

# ${base}, fine-tuned

A LoRA adapter in PEFT's layout${regularizers.length > 0 ? ", held to its base by a regularizer" : ""}. ${measured?.conclusion ?? "Nothing was measured of it."}

|  |  |
| --- | --- |
${rows.join("\n")}
${measured ? scoresOf(measured) : ""}`;
}

/** A table of what was measured, before and after; exact matches in percent, drift in nats per token. */
function scoresOf({ base, runs }: Pick<Summary, "base" | "runs">): string {
  const percent = (share: number | null | undefined) => (share == null ? "–" : `${(100 * share).toFixed(0)} %`);
  const nats = (value: number | null | undefined) => (value == null ? "–" : value.toFixed(3));
  const columns = [base, ...runs];
  const lines: [string, string[]][] = [
    ...Object.keys(base.skills).map((skill): [string, string[]] => [
      skill,
      columns.map(({ skills }) => percent(skills[skill])),
    ]),
    ["new task", columns.map(({ task }) => percent(task))],
    ["validation, cross-entropy", columns.map(({ validation }) => nats(validation?.cross_entropy))],
    ["drift", columns.map(({ drift }) => nats(drift))],
  ];
  const shown = lines.filter(([, cells]) => cells.some((cell) => cell !== "–"));
  if (shown.length === 0) return "";
  const head = ["", "base", ...runs.map(({ name }) => name)];
  return `
| ${head.join(" | ")} |
| ${head.map(() => "---").join(" | ")} |
${shown.map(([label, cells]) => `| ${[label, ...cells].join(" | ")} |`).join("\n")}

Exact matches in percent; drift is KL(reference‖model) in nats per token on samples of the base.
`;
}

/** Names of the files of training data, shares, and the beginning of the SHA-256 of each. */
export async function describeFiles({ data: { train } }: Pick<Config, "data">): Promise<string> {
  const words: string[] = [];
  for (const entry of [train].flat()) {
    const { file, share } = typeof entry === "string" ? { file: entry, share: undefined } : entry;
    for (const path of await findFiles(file)) {
      const hash = createHash("sha256");
      for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
      const digest = hash.digest("hex").slice(0, 16);
      words.push(`${basename(path)}${share === undefined ? "" : ` (share ${share})`}, sha256:${digest}`);
    }
  }
  return words.join("; ");
}
