import { batches } from "../data/batches.ts";
import type { Datum } from "../data/datum.ts";
import type { AdamParams, CustomLoss, CustomOutput, TrainingClient } from "../engine/contract.ts";
import { mergePenaltyMetrics } from "../regularizer/merge.ts";
import type { OptimizerConfig } from "./config.ts";
import { TrainingDivergedError, type WorstDatum } from "./diverged.ts";
import { nameMetrics, type StepMetrics } from "./metrics.ts";
import { anchorLoss, completionsLoss, type Held } from "./objective.ts";
import { learningRate } from "./schedule.ts";

export interface TrainOptions {
  readonly client: TrainingClient;
  readonly data: readonly Datum[];
  readonly steps: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly optimizer: OptimizerConfig;
  readonly regularizers: readonly Held[];
  /** Hears of each step, once its update is made. */
  readonly onStep?: (row: StepMetrics) => void;
  /** When aborted, the step under way is finished and training ends. */
  readonly signal?: AbortSignal | undefined;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

export interface TrainResult {
  /** Of every step taken. */
  readonly rows: readonly StepMetrics[];
  readonly interrupted: boolean;
}

/**
 * Trains: each step minimizes Σ w·CE / Σ w + Σ weightᵢ · regularizerᵢ on the next batch, with an anchor's regularizer on
 * a batch of the anchor's own, and makes one update for all. Knows only the engine's contract: what it trains may run
 * in this process or on a server.
 *
 * @throws TrainingDivergedError before the update when the loss or the gradient is no longer finite; the client still
 * holds the last good weights.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { client, data, steps, batchSize, seed, shuffle, optimizer, regularizers, signal } = options;
  const now = options.now ?? (() => performance.now());
  const onCompletions = regularizers.filter(({ anchor }) => !anchor);
  const stream = batches(data, { batchSize, seed, shuffle });
  const anchors = regularizers.flatMap((held) => {
    if (!held.anchor) return [];
    const { data, rows, seed } = held.anchor;
    return [{ held, stream: batches(data, { batchSize: rows, seed, shuffle: true }) }];
  });
  const names = regularizers.map(({ regularizer }) => regularizer.name);
  const rows: StepMetrics[] = [];

  for (let step = 1; step <= steps && !signal?.aborted; step++) {
    const started = now();
    let tokens = 0;
    let worst: WorstDatum = { source: "unknown", loss: Number.NaN };
    const outputs: CustomOutput[] = [];
    // Gradients of all losses accumulate in the client until the update.
    const backward = async (batch: readonly Datum[], loss: CustomLoss) => {
      const output = await client.forwardBackwardCustom(batch, loss);
      if (!Number.isFinite(output.loss)) throw new TrainingDivergedError(step, `the loss became ${output.loss}`, worst);
      for (const { modelInput } of batch) tokens += modelInput.length;
      outputs.push(output);
    };

    const batch = stream.next().value;
    const noteWorst = (datum: WorstDatum) => {
      worst = datum;
    };
    await backward(batch, completionsLoss(batch, onCompletions, noteWorst));
    for (const { held, stream } of anchors) {
      const batch = stream.next().value;
      await backward(batch, anchorLoss(batch, held));
    }
    const learning_rate = learningRate(step, steps, optimizer);
    const { grad_norm } = await client.optimStep(adamParams(optimizer, learning_rate));
    if (grad_norm !== null && !Number.isFinite(grad_norm)) {
      throw new TrainingDivergedError(step, `the gradient's norm became ${grad_norm}`, worst);
    }

    const { cross_entropy = 0, ...others } = mergePenaltyMetrics(outputs.map(({ metrics }) => metrics));
    const row: StepMetrics = {
      step,
      loss: outputs.reduce((sum, { loss }) => sum + loss, 0),
      cross_entropy,
      ...nameMetrics(others, names),
      grad_norm: grad_norm ?? Number.NaN,
      learning_rate,
      tokens_per_second: (tokens * 1000) / (now() - started),
    };
    rows.push(row);
    options.onStep?.(row);
  }
  return { rows, interrupted: rows.length < steps };
}

function adamParams({ betas, eps, weight_decay, grad_clip }: OptimizerConfig, learning_rate: number): AdamParams {
  return { learning_rate, beta1: betas[0], beta2: betas[1], eps, weight_decay, grad_clip_norm: grad_clip };
}
