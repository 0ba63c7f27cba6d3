import { z } from "zod";
import { TINKER_LORA_DEFAULTS } from "../model/lora.ts";
import { HttpError, type HttpRequest } from "./http.ts";

/* What clients may send. Unknown keys are let through: newer clients send more. */

export const sequenced = z.object({ model_id: z.string(), seq_id: z.int().min(1) });

export const createModel = z.object({
  session_id: z.string(),
  model_seq_id: z.int().min(0),
  base_model: z.string(),
  lora_config: z.object({
    rank: z.int().min(1).max(1024).default(TINKER_LORA_DEFAULTS.rank),
    seed: z.int().nullish(),
    train_mlp: z.boolean().default(TINKER_LORA_DEFAULTS.train_mlp),
    train_attn: z.boolean().default(TINKER_LORA_DEFAULTS.train_attn),
  }),
});

export const optimStep = z.object({
  adam_params: z.object({
    learning_rate: z.number().min(0).default(1e-4),
    beta1: z.number().min(0).lt(1).default(0.9),
    beta2: z.number().min(0).lt(1).default(0.95),
    eps: z.number().min(0).default(1e-12),
    weight_decay: z.number().min(0).default(0),
    grad_clip_norm: z.number().min(0).default(0),
  }),
});

export const saveWeights = z.object({ path: z.string(), overwrite: z.boolean().default(false) });
export const loadWeights = z.object({ path: z.string(), optimizer: z.boolean().default(false) });
export const saveForSampler = z.object({ path: z.string().nullish(), sampling_session_seq_id: z.int().nullish() });

export const createSamplingSession = z.object({
  session_id: z.string(),
  sampling_session_seq_id: z.int().min(0),
  base_model: z.string().nullish(),
  model_path: z.string().nullish(),
});

export const sample = z.object({ sampling_session_id: z.string(), seq_id: z.int().min(0) });

const token = z
  .int()
  .min(0)
  .max(2 ** 31 - 1);

export const sampleContent = z.object({
  num_samples: z.int().min(1).max(1024).default(1),
  prompt: z.object({
    chunks: z.array(z.object({ type: z.literal("encoded_text").default("encoded_text"), tokens: z.array(token) })),
  }),
  sampling_params: z.object({
    max_tokens: z.int().min(1),
    temperature: z.number().min(0).default(1),
    seed: z.int().nullish(),
    stop: z
      .array(
        z.int("stop holds text, and this server has no tokenizer: give token ids"),
        "stop is not a list: give token ids",
      )
      .nullish(),
    top_k: z.union([z.literal(-1), z.int().min(1)], "expected -1 for all tokens, or at least 1").default(-1),
    top_p: z.number().gt(0).max(1).default(1),
  }),
  prompt_logprobs: z.boolean().nullish(),
  topk_prompt_logprobs: z
    .int()
    .min(0)
    .max(1 << 16)
    .nullish(),
});

/** A JSON body by its schema; 400 says what is wrong where. */
export function parseBody<T>({ body }: HttpRequest, schema: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch {
    throw new HttpError(400, "the body is not JSON");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new HttpError(400, issues.join("; "));
  }
  return parsed.data;
}
