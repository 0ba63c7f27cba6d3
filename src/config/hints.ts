/** @file Keys that configurations of other tools have, and those of earlier klamps: what to write instead. */

/** The key that takes it, or why nothing does. */
type Hint = { readonly write: string; readonly why?: string } | { readonly none: string };

const BATCH = { write: "train.batch_size" };
const LENGTH = { write: "data.max_length" };
const MODEL = { write: "model" };
const TRAIN_FILE = { write: "data.train", why: "the path of a file of data" };
const VALIDATION_FILE = { write: "data.validation", why: "the path of a file of data" };
const WEIGHT = { write: "regularizers.0.weight" };
const ADAPTIVE = { write: "regularizers.0.weight", why: "as { controller: adaptive, target: NATS, initial: NUMBER }" };
const REFERENCE = { write: "regularizers.0.reference", why: "`base` unless set: no second model is loaded" };
const BETAS = { write: "optimizer.betas", why: "both in one list, as in [0.9, 0.999]" };
const unsupported = (what: string): Hint => ({ none: `klamp does not support ${what} yet, remove it` });
const PARTS: Hint = { none: "klamp splits a batch into parts by itself, raise train.batch_size instead" };

const HINTS: Readonly<Record<string, Hint>> = {
  // Earlier names of klamp's own.
  on: { write: "regularizers.0.text", why: "renamed, since YAML 1.1 reads `on` as true" },
  true: { write: "regularizers.0.text", why: "it was `on`, which YAML 1.1 reads as true" },
  rows: { write: "regularizers.0.text.batch_size", why: "renamed" },
  moving: { write: "regularizers.0.reference.synced", why: "renamed" },
  // Learning rate and AdamW.
  lr: { write: "optimizer.learning_rate" },
  lr_scheduler: { write: "optimizer.schedule" },
  lr_scheduler_type: { write: "optimizer.schedule" },
  warmup_ratio: { write: "optimizer.warmup_steps", why: "a number of steps" },
  num_warmup_steps: { write: "optimizer.warmup_steps" },
  max_grad_norm: { write: "optimizer.grad_clip" },
  gradient_clipping: { write: "optimizer.grad_clip" },
  adam_beta1: BETAS,
  adam_beta2: BETAS,
  adam_epsilon: { write: "optimizer.eps" },
  optim: { none: "klamp trains with AdamW, remove it" },
  // LoRA.
  r: { write: "lora.rank" },
  lora_r: { write: "lora.rank" },
  lora_rank: { write: "lora.rank" },
  lora_alpha: { write: "lora.alpha" },
  lora_target_modules: { write: "lora.target_modules" },
  lora_dropout: { write: "lora.dropout" },
  modules_to_save: unsupported("training whole modules"),
  use_dora: unsupported("DoRA"),
  load_in_4bit: unsupported("quantized weights"),
  load_in_8bit: unsupported("quantized weights"),
  // The KL and its reference.
  beta: { ...WEIGHT, why: "`beta` is a setting of jensen_shannon alone" },
  kl_coef: WEIGHT,
  kl_beta: WEIGHT,
  kl_weight: WEIGHT,
  kl_loss_coef: WEIGHT,
  kl_penalty_coef: WEIGHT,
  init_kl_coef: ADAPTIVE,
  target_kl: ADAPTIVE,
  kl_target: ADAPTIVE,
  reference_model: REFERENCE,
  ref_model: REFERENCE,
  ref_model_path: REFERENCE,
  // Batches and length.
  gradient_accumulation_steps: PARTS,
  micro_batch_size: PARTS,
  per_device_train_batch_size: BATCH,
  train_batch_size: BATCH,
  max_seq_length: LENGTH,
  max_seq_len: LENGTH,
  sequence_len: LENGTH,
  model_max_length: LENGTH,
  max_length: LENGTH,
  num_train_epochs: { write: "train.epochs" },
  num_epochs: { write: "train.epochs" },
  max_steps: { write: "train.steps" },
  num_steps: { write: "train.steps" },
  logging_steps: { none: "every step is logged to metrics.jsonl; train.report_every adds what costs more" },
  random_seed: { write: "train.seed" },
  // Files.
  model_name_or_path: MODEL,
  model_name: MODEL,
  base_model: MODEL,
  dataset: TRAIN_FILE,
  datasets: TRAIN_FILE,
  dataset_name: TRAIN_FILE,
  dataset_path: TRAIN_FILE,
  train_file: TRAIN_FILE,
  train_data: TRAIN_FILE,
  eval_dataset: VALIDATION_FILE,
  validation_file: VALIDATION_FILE,
  output_dir: { write: "output" },
};

/** What is known of a key that klamp does not have. */
export function hintOf(key: string): Hint | undefined {
  return Object.hasOwn(HINTS, key) ? HINTS[key] : undefined;
}
