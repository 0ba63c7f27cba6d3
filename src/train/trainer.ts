import { batches } from "../data/batches.ts";
import type { Datum } from "../data/datum.ts";
import type { AdamParams, CustomLoss, TrainingClient } from "../engine/contract.ts";
import { UserError } from "../errors.ts";
import { compose } from "../regularizer/compose.ts";
import { type MeasuredPart, reportOf } from "../regularizer/merge.ts";
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
  /** Gradients of regularizers and same top tokens are measured in step 1 and then every so many steps. Default 0: never. */
  readonly reportEvery?: number;
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
  const { reportEvery = 0 } = options;
  const now = options.now ?? (() => performance.now());
  checkNames(regularizers);
  const free = regularizers.filter(({ anchor }) => !anchor);
  const onCompletions = free.length > 0 ? compose(free) : undefined;
  const stream = batches(data, { batchSize, seed, shuffle });
  const anchors = regularizers.flatMap((held) => {
    if (!held.anchor) return [];
    const { data, rows, seed } = held.anchor;
    return [{ regularizer: compose([held]), stream: batches(data, { batchSize: rows, seed, shuffle: true }) }];
  });
  const names = regularizers.map(({ regularizer }) => regularizer.name);
  const rows: StepMetrics[] = [];

  for (let step = 1; step <= steps && !signal?.aborted; step++) {
    const started = now();
    let tokens = 0;
    let worst: WorstDatum = { source: "unknown", loss: Number.NaN };
    let total = 0;
    const parts: MeasuredPart[] = [];
    const full = reportEvery > 0 && (step - 1) % reportEvery === 0;
    const stepOptions = { step, full, onPart: (part: MeasuredPart) => parts.push(part) };
    // Gradients of all losses accumulate in the client until the update.
    const backward = async (batch: readonly Datum[], loss: CustomLoss) => {
      const output = await client.forwardBackwardCustom(batch, loss);
      if (!Number.isFinite(output.loss)) throw new TrainingDivergedError(step, `the loss became ${output.loss}`, worst);
      for (const { modelInput } of batch) tokens += modelInput.length;
      total += output.loss;
    };

    const batch = stream.next().value;
    const noteWorst = (datum: WorstDatum) => {
      worst = datum;
    };
    await backward(batch, completionsLoss(batch, onCompletions, stepOptions, noteWorst));
    for (const { regularizer, stream } of anchors) {
      const batch = stream.next().value;
      await backward(batch, anchorLoss(batch, regularizer, stepOptions));
    }
    const learning_rate = learningRate(step, steps, optimizer);
    const { grad_norm } = await client.optimStep(adamParams(optimizer, learning_rate));
    if (grad_norm !== null && !Number.isFinite(grad_norm)) {
      throw new TrainingDivergedError(step, `the gradient's norm became ${grad_norm}`, worst);
    }

    const measured = reportOf(parts);
    for (const composition of [onCompletions, ...anchors.map(({ regularizer }) => regularizer)])
      composition?.observe?.(step, measured);
    const { cross_entropy = 0, ...others } = measured;
    const row: StepMetrics = {
      step,
      loss: total,
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

/** Names tell metrics apart, wherever a regularizer holds the model. */
function checkNames(regularizers: readonly Held[]): void {
  const names = regularizers.map(({ regularizer }) => regularizer.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new UserError(
      `two regularizers are named "${twice}": give each its own name, since names tell their metrics apart`,
    );
}

function adamParams({ betas, eps, weight_decay, grad_clip }: OptimizerConfig, learning_rate: number): AdamParams {
  return { learning_rate, beta1: betas[0], beta2: betas[1], eps, weight_decay, grad_clip_norm: grad_clip };
}
