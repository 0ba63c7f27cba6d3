import type { TrainOptions } from "../../src/train/trainer.ts";

/** AdamW with nothing around it: a constant rate, no warm-up, decay or clipping. */
export const ADAMW: TrainOptions["optimizer"] = {
  learning_rate: 0.1,
  schedule: "constant",
  warmup_steps: 0,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weight_decay: 0,
  grad_clip: 0,
};
