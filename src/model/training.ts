/** Defaults of a training run. */
export const TRAIN_DEFAULTS = {
  steps: 300,
  batchSize: 16,
  seed: 1,
  shuffle: true,
  reportEvery: 10,
} as const;
