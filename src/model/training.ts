/** Defaults of a training run. */
export const TRAIN_DEFAULTS = {
  steps: 300,
  batchSize: 16,
  seed: 1,
  shuffle: true,
  reportEvery: 10,
} as const;

/** The most updates of a run: at a millisecond each they take eleven days, and every count and place in the data is exact. */
export const MOST_STEPS = 1_000_000_000;

/** Defaults of checkpoints: the steps or the seconds between two, and how many stay. */
export const CHECKPOINT_DEFAULTS = { saveSteps: 50, saveSeconds: 300, keep: 2 } as const;

/** Defaults of an anchor: texts per step, and the seed of their order. */
export const ANCHOR_DEFAULTS = { batchSize: 8, seed: 1 } as const;

/** Defaults of an evaluation: tokens of an answer, answers that are kept to be shown, texts on which drift is measured, items of an evaluation while training. */
export const EVALUATION_DEFAULTS = { maxTokens: 32, completions: 4, driftSamples: 64, items: 64 } as const;
