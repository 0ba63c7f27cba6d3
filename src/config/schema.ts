import { z } from "zod";
import { UserError } from "../common/errors.ts";
import { ADAMW_DEFAULTS, EPS, isEps } from "../model/adamw.ts";
import { MOST_SAMPLES } from "../model/base-samples.ts";
import { LORA_DEFAULTS, type LoraSettings, PROJECTIONS, type Projection } from "../model/lora.ts";
import { CHECKPOINT_DEFAULTS, EVALUATION_DEFAULTS, MOST_STEPS, TRAIN_DEFAULTS } from "../model/training.ts";
import { data } from "./data.ts";
import { isStart } from "./references/index.ts";
import { namesOf, type RegularizerConfig, regularizer, type TextRegularizerConfig } from "./regularizers/index.ts";
import {
  flag,
  group,
  notNegative,
  numberThat,
  oneOf,
  path,
  pathOrHubName,
  positive,
  refuse,
  seed,
  share,
  unset,
  whole,
  word,
} from "./values.ts";

/**
 * @file The schema of a training configuration, from which types, help and the annotated example derive. Defaults are those of
 * the functions that take the settings. A schema's `error` is what is expected, its description what the setting is for.
 */

const projectionList = `all-linear, or a list of ${PROJECTIONS.join(", ")}`;
const moduleName = z
  .string({ error: projectionList })
  .refine((name) => name.includes(".") || PROJECTIONS.includes(name as Projection), { error: projectionList });
const targetModules = z.union(
  [
    z.literal("all-linear"),
    z.array(moduleName).min(1),
    z.string().regex(/[\\.*+?()[\]|]/), // a regular expression
  ],
  { error: projectionList },
);
const byModule = (value: typeof positive) =>
  unset(z.record(z.string(), value, { error: "numbers by names of modules, such as { v_proj: 4 }" }));

const lora = group({
  rank: unset(whole(1))
    .describe(`rank of the update matrices (default ${LORA_DEFAULTS.rank}, or the adapter's)`)
    .meta({ example: LORA_DEFAULTS.rank }),
  alpha: unset(positive)
    .describe("the update is scaled by alpha / rank (default 2 · rank, or the adapter's)")
    .meta({ example: 2 * LORA_DEFAULTS.rank }),
  target_modules: unset(targetModules)
    .describe(
      `which projections get an update: ${projectionList}, full names, or a regular expression for them (default ${LORA_DEFAULTS.target_modules}, or the adapter's)`,
    )
    .meta({ example: LORA_DEFAULTS.target_modules }),
  use_rslora: unset(flag)
    .describe(`scale by alpha / √rank instead (default ${LORA_DEFAULTS.use_rslora}, or the adapter's)`)
    .meta({ example: LORA_DEFAULTS.use_rslora }),
  dropout: unset(share)
    .describe(
      `the share of numbers that reach A as 0 in training, never in references and evaluation (default ${LORA_DEFAULTS.dropout}, or the adapter's)`,
    )
    .meta({ example: LORA_DEFAULTS.dropout }),
  rank_pattern: byModule(whole(1)).describe("other ranks, by names of modules, as PEFT reads them (default: none)"),
  alpha_pattern: byModule(positive).describe("other alphas, likewise"),
  layers_to_transform: unset(z.array(whole(0)).min(1)).describe("the layers with updates, from 0 (default: all)"),
}).describe("the adapter that is trained; with train.adapter it must agree with that adapter");

const train = group({
  steps: unset(whole(1))
    .describe(`how many updates to make (default ${TRAIN_DEFAULTS.steps}, unless epochs is given)`)
    .meta({ example: TRAIN_DEFAULTS.steps }),
  epochs: unset(
    numberThat((value) => value > 0 && value <= MOST_STEPS, "a number above 0, at most 1,000,000,000"),
  ).describe("or how often to go through the data; may be a fraction"),
  batch_size: whole(1).default(TRAIN_DEFAULTS.batchSize).describe("lines of data per update"),
  seed: seed
    .default(TRAIN_DEFAULTS.seed)
    .describe("of the start of the adapter, the order of the data and the samples of anchors"),
  shuffle: flag.default(TRAIN_DEFAULTS.shuffle).describe("a new order of the data each epoch; false keeps the file's"),
  report_every: whole(0)
    .default(TRAIN_DEFAULTS.reportEvery)
    .describe("log gradient norms and top-1 agreement every N steps; 0 is never"),
  worst_tokens: whole(0)
    .default(0)
    .describe("how many of the tokens with the greatest divergence each full report writes to worst-tokens.jsonl"),
  save_every: unset(
    z.union([whole(0), z.string().regex(/^[1-9]\d*[smh]$/)], {
      error: "a number of steps, or a time such as 90s, 10m or 1h",
    }),
  ).describe(
    `steps, or time such as 10m, between checkpoints; 0 saves at the end alone (default ${CHECKPOINT_DEFAULTS.saveSteps} steps or ${CHECKPOINT_DEFAULTS.saveSeconds / 60} minutes, whichever comes first)`,
  ),
  keep: whole(1).default(CHECKPOINT_DEFAULTS.keep).describe("how many checkpoints stay, the newest"),
  adapter: unset(pathOrHubName("a PEFT adapter folder")).describe(
    "a PEFT adapter folder, or a hub name, to start from (default: a fresh adapter)",
  ),
})
  .superRefine(({ steps, epochs, report_every, worst_tokens }, context) => {
    if (worst_tokens > 0 && report_every === 0) {
      const message = "`worst_tokens` is written with full reports: set `report_every` above 0";
      refuse(context, ["worst_tokens"], message);
    }
    if (steps !== null && epochs !== null) {
      refuse(context, ["epochs"], "give train.steps or train.epochs, not both: remove one");
    }
  })
  .transform((train) =>
    train.steps === null && train.epochs === null ? { ...train, steps: TRAIN_DEFAULTS.steps } : train,
  )
  .describe("how long, and on what");

const optimizer = group({
  learning_rate: notNegative.default(ADAMW_DEFAULTS.learningRate).describe("AdamW's learning rate, after warm-up"),
  betas: z
    .tuple([share, share], { error: "two numbers, as in [0.9, 0.999]" })
    .default([...ADAMW_DEFAULTS.betas])
    .describe("AdamW's decay rates of the gradient's mean and square"),
  eps: numberThat(isEps, EPS).default(ADAMW_DEFAULTS.eps).describe("AdamW's ε"),
  weight_decay: notNegative.default(ADAMW_DEFAULTS.weightDecay).describe("AdamW's decoupled weight decay"),
  grad_clip: notNegative
    .default(ADAMW_DEFAULTS.gradClip)
    .describe("scale gradients down to this L2 norm over all matrices; 0 is off"),
  schedule: oneOf(["constant", "linear", "cosine"])
    .default(ADAMW_DEFAULTS.schedule)
    .describe("the learning rate after warm-up: constant, or down to 0 in a line (linear) or half a cosine"),
  warmup_steps: whole(0)
    .default(ADAMW_DEFAULTS.warmupSteps)
    .describe("the learning rate rises linearly: step 1 of n is 1/n of it, step n all of it"),
}).describe("AdamW");

const evaluate = group({
  task: unset(path("a file of prompts and completions"))
    .describe("prompts and completions of the new task, scored by exact match (default: none)")
    .meta({ example: "./test.jsonl" }),
  skills: z
    .record(z.string(), path("a file of prompts and completions"), {
      error: "named files, such as { capitals: ./capitals.jsonl }",
    })
    .nullable()
    .transform((skills) => skills ?? {})
    .default({})
    .describe("what the base can do and should still do, as { NAME: FILE }, scored alike")
    .meta({ example: { capitals: "./capitals.jsonl" } }),
  max_tokens: whole(1).default(EVALUATION_DEFAULTS.maxTokens).describe("the most tokens of an answer"),
  completions: whole(0)
    .default(EVALUATION_DEFAULTS.completions)
    .describe("how many sample completions the report shows"),
  drift_samples: whole(0, MOST_SAMPLES)
    .default(EVALUATION_DEFAULTS.driftSamples)
    .describe("samples of the base on which drift is measured, in nats per token; 0 is off"),
  every: unset(whole(1)).describe(
    "while training, every N steps: loss and regularizers on the validation data, drift, sample answers (default: never)",
  ),
  items: whole(1)
    .default(EVALUATION_DEFAULTS.items)
    .describe("how many lines of the validation data and samples of the base that takes, the same each time"),
  best: unset(oneOf(["eval_loss", "eval_drift"])).describe(
    "keep the checkpoint where this was lowest, and make it the adapter (default: the last step's)",
  ),
  patience: unset(whole(1)).describe(
    "stop after so many evaluations without a lower one, of best or else eval_loss (default: never)",
  ),
  max_drift: unset(positive).describe(
    "stop when drift is above so many nats per token, and keep what was below (default: never)",
  ),
})
  .superRefine(({ every, best, patience, max_drift, drift_samples }, context) => {
    for (const [key, value] of Object.entries({ best, patience, max_drift })) {
      if (value !== null && every === null)
        refuse(context, [key], `evaluate.${key} looks at what is measured while training: set evaluate.every`);
    }
    if (drift_samples > 0) return;
    if (max_drift !== null)
      refuse(context, ["max_drift"], "drift is measured on samples of the base: set evaluate.drift_samples above 0");
    if (best === "eval_drift")
      refuse(context, ["best"], "drift is measured on samples of the base: set evaluate.drift_samples above 0");
  })
  .describe("what to score before and after, and while training");

const engine = group({
  type: word("local").default("local").describe("the embedded engine"),
  threads: z
    .union([z.literal("auto"), whole(1, 1024)], { error: "auto, or a whole number from 1 to 1,024" })
    .default("auto")
    .describe("auto (all cores), or how many"),
}).describe("where the model runs");

/** The whole configuration file. Unknown keys are errors. */
export const configSchema = group({
  model: pathOrHubName("a Hugging Face model folder")
    .describe(
      "a Hugging Face folder: config.json, model.safetensors, tokenizer.json; or a hub name, ORG/NAME[@REVISION]",
    )
    .meta({ example: "./models/base" }),
  data,
  lora: lora.prefault({}),
  train: train.prefault({}),
  optimizer: optimizer.prefault({}),
  regularizers: z
    .array(regularizer, { error: "a list of regularizers, such as [{ type: kl_divergence }]" })
    .default([])
    .describe("what holds the model back; an empty list is plain fine-tuning"),
  evaluate: evaluate.prefault({}),
  engine: engine.prefault({}),
  output: path("a folder that does not exist yet").default("./runs/first").describe("where the run is written"),
}).superRefine(({ data, train, regularizers, evaluate }, context) => {
  const { best, patience } = evaluate;
  if (data.validation === null && (best === "eval_loss" || (patience !== null && best === null))) {
    const message =
      "eval_loss is measured on data.validation, and there is none: give it, or set evaluate.best to eval_drift";
    refuse(context, ["evaluate", best === null ? "patience" : "best"], message);
  }
  const names = namesOf(regularizers);
  for (const [i, settings] of regularizers.entries()) {
    if (settings.name !== null && names.indexOf(settings.name) < i) {
      const message = `another regularizer is named ${settings.name}: names tell their metrics apart, give each its own`;
      refuse(context, ["regularizers", i, "name"], message);
    }
    if (train.adapter === null && "reference" in settings && isStart(settings.reference)) {
      const message =
        "it is the adapter that training starts from, and there is none: set train.adapter, or use `reference: base`";
      refuse(context, ["regularizers", i, "reference"], message);
    }
  }
});

/** A complete configuration: every default filled in, except those of `lora`, which `resolveLora` decides. */
export type Config = z.output<typeof configSchema>;
export type LoraConfig = Config["lora"];
export type OptimizerConfig = Config["optimizer"];
export type { RegularizerConfig, TextRegularizerConfig };

/** LoRA's settings as a complete configuration has them. */
export interface ResolvedLora extends Omit<LoraSettings, "target_modules"> {
  readonly target_modules: string | readonly string[];
}

/**
 * The LoRA settings in force: those of the adapter that training starts from, or else what is set, or else the defaults.
 *
 * @throws UserError when a set value disagrees with the adapter.
 */
export function resolveLora(written: LoraConfig, adapter?: ResolvedLora): ResolvedLora {
  const given = Object.entries(written).filter(([, value]) => value !== null);
  for (const [key, value] of adapter ? given : []) {
    if (key === "dropout") continue; // of training alone
    const has = adapter?.[key as keyof ResolvedLora];
    if (comparable(value) === comparable(has)) continue;
    const show = (value: unknown) => (typeof value === "object" ? JSON.stringify(value) : String(value));
    throw new UserError(
      `lora.${key} is ${show(value)}, but the adapter that training starts from has ${show(has)}: remove lora.${key}`,
    );
  }
  const { rank, target_modules, use_rslora, dropout } = LORA_DEFAULTS;
  if (adapter) return { ...adapter, dropout: written.dropout ?? adapter.dropout ?? dropout };
  const defaults = { rank, alpha: 2 * (written.rank ?? rank), target_modules, use_rslora, dropout };
  return { ...defaults, ...Object.fromEntries(given) };
}

function comparable(value: unknown): string {
  const modules = value === "all-linear" ? PROJECTIONS : value;
  if (Array.isArray(modules)) return [...modules].sort().join();
  return typeof modules === "object" && modules !== null
    ? JSON.stringify(Object.entries(modules).sort())
    : String(modules);
}
