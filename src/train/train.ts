import type { OptimizerConfig } from "../config/schema.ts";
import { batches } from "../data/batches.ts";
import type { Datum } from "../data/datum.ts";
import { type WorstRow, worstRows } from "../drift/worst-tokens.ts";
import { reusedZeros } from "../loss/gradient-sum.ts";
import { type MeasuredPart, reportOf } from "../loss/metrics.ts";
import type { AdamParams, CustomLoss, CustomOutput, TrainingClient } from "../model/legacy.ts";
import { composeAdapter, type WeightedPenalty } from "../regularizer/adapter/compose.ts";
import { checkNames } from "../regularizer/check-names.ts";
import { compose } from "../regularizer/compose.ts";
import { TrainingDivergedError, type WorstDatum } from "./diverged.ts";
import { StepEvents } from "./events.ts";
import { nameMetrics, type StepMetrics } from "./metrics.ts";
import { anchorLoss, completionsLoss, type Held } from "./objective.ts";
import { learningRate } from "./schedule.ts";
import { stepTexts } from "./step-texts.ts";

/** What is trained, on what, and how. */
export interface TrainOptions {
  /** The model under training; its weights change. */
  readonly client: TrainingClient;
  readonly data: readonly Datum[];
  /** How many updates to make. */
  readonly steps: number;
  /** Data per update. */
  readonly batchSize: number;
  /** Of the order of the data. */
  readonly seed: number;
  /** A new order each time through the data; false keeps the one given. */
  readonly shuffle: boolean;
  /** AdamW and the schedule of its learning rate, as in a configuration. */
  readonly optimizer: OptimizerConfig;
  /** What holds the model back; none is plain fine-tuning. */
  readonly regularizers: readonly Held[];
  /** Penalties on the adapter's own matrices, once per step. Default: none. */
  readonly adapterPenalties?: readonly WeightedPenalty[];
  /** Gradients of regularizers and same top tokens are measured in step 1 and then every so many steps. Default 0: never. */
  readonly reportEvery?: number;
  /** In those steps, how many rows of greatest value `onStep` hears of for each regularizer. Default 0. */
  readonly worstTokens?: number;
  /** Hears of each step, once its update is made. */
  readonly onStep?: (row: StepMetrics, worst: readonly WorstRow[]) => void;
  /** When aborted, the step under way is finished and training ends; a step that waits for a reference is given up. */
  readonly signal?: AbortSignal | undefined;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

/** What training measured. */
export interface TrainResult {
  /** Of every step taken. */
  readonly rows: readonly StepMetrics[];
  /** Whether the signal ended it before all steps were taken. */
  readonly interrupted: boolean;
}

/**
 * Trains: each step minimizes Σ w·CE / Σ w + Σ weightᵢ · regularizerᵢ on the next batch, with a regularizer that has
 * anchors on the next rows of those, instead or as well, and makes one update for all. Knows only the engine's contract:
 * what it trains may run in this process or on a server.
 *
 * @throws TrainingDivergedError before the update when the loss or the gradient is no longer finite; UserError for
 * regularizers of one name, and what they themselves refuse. The client keeps the weights of the last update.
 * @example
 * const client = await model.trainingClient({ rank: 8 });
 * const kl = new KLDivergence({ reference: baseReference(client.sampler("base")), direction: "reverse" });
 * const { rows } = await train({ client, data, regularizers: [{ regularizer: kl, weight: 0.1 }], ...settings });
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { client, data, steps, batchSize, seed, shuffle, optimizer, signal } = options;
  const { reportEvery = 0, worstTokens = 0, adapterPenalties = [] } = options;
  const now = options.now ?? (() => performance.now());
  const names = [
    ...options.regularizers.map(({ regularizer }) => regularizer.name),
    ...adapterPenalties.map(({ penalty }) => penalty.name),
  ];
  checkNames(names);
  const events = new StepEvents(names, steps);
  const regularizers = options.regularizers.map((held) => ({ ...held, regularizer: events.watch(held.regularizer) }));
  // Refuses names used twice, and tells each weight once what was measured.
  const all = compose(regularizers);
  const adapter = composeAdapter(adapterPenalties);
  const stream = batches(data, { batchSize, seed, shuffle });
  const textsOf = stepTexts(regularizers);
  const rows: StepMetrics[] = [];
  const zeros = reusedZeros();

  for (let step = 1; step <= steps && !signal?.aborted; step++) {
    const started = now();
    events.begin(step);
    let tokens = 0;
    let worst: WorstDatum = { source: "unknown", loss: Number.NaN };
    let total = 0;
    const parts: MeasuredPart[] = [];
    const full = reportEvery > 0 && (step - 1) % reportEvery === 0;
    const stepOptions = { step, full, signal, zeros, onPart: (part: MeasuredPart) => parts.push(part) };
    // Gradients of all losses accumulate in the client until the update.
    const add = ({ loss }: CustomOutput) => {
      if (!Number.isFinite(loss)) throw new TrainingDivergedError(step, `the loss became ${loss}`, worst);
      total += loss;
    };
    const backward = async (batch: readonly Datum[], loss: CustomLoss) => {
      add(await client.forwardBackwardCustom(batch, loss));
      for (const { modelInput } of batch) tokens += modelInput.length;
    };

    const batch = stream.next().value;
    const noteWorst = (datum: WorstDatum) => {
      worst = datum;
    };
    try {
      const held = await textsOf(step, batch);
      const here = held.filter(({ onCompletions }) => onCompletions);
      const regularizer = here.length > 0 ? compose(here) : undefined;
      await backward(batch, completionsLoss(batch, regularizer, stepOptions, noteWorst));
      for (const each of held) {
        if (each.text.length > 0) await backward(each.text, anchorLoss(each.text, compose([each]), stepOptions));
      }
      if (adapterPenalties.length > 0) {
        const output = await client.backwardAdapter((matrices) => adapter.compute(matrices, { step }));
        add(output);
        parts.push({ data: [], metrics: output.metrics });
      }
    } catch (error) {
      // Whoever was waited for has given up; the step is not taken.
      if (signal?.aborted && error === signal.reason) break;
      throw error;
    }
    const learning_rate = learningRate(step, steps, optimizer);
    const { grad_norm } = await client.optimStep(adamParams(optimizer, learning_rate));
    if (grad_norm !== null && !Number.isFinite(grad_norm)) {
      throw new TrainingDivergedError(step, `the gradient's norm became ${grad_norm}`, worst);
    }

    const measured = reportOf(parts);
    all.observe?.(step, measured);
    adapter.observe?.(step, measured);
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
    events.end(row, measured);
    options.onStep?.(row, full && worstTokens > 0 ? worstRows(parts, worstTokens) : []);
  }
  return { rows, interrupted: rows.length < steps };
}

function adamParams({ betas, eps, weight_decay, grad_clip }: OptimizerConfig, learning_rate: number): AdamParams {
  return { learning_rate, beta1: betas[0], beta2: betas[1], eps, weight_decay, grad_clip_norm: grad_clip };
}
