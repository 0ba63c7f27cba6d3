import { withDefaults } from "../common/defaults.ts";
import { UserError } from "../common/errors.ts";
import { type Batches, batchesOf } from "../data/batches.ts";
import type { Datum } from "../data/datum.ts";
import { type MixturePart, mixedBatches } from "../data/mixture.ts";
import type { PositionValues, Step } from "../loss/contract.ts";
import { ADAMW_DEFAULTS, checkOptimizer, type OptimizerOptions } from "../model/adamw.ts";
import type { AdamParams, TrainingClient } from "../model/contract.ts";
import { MOST_STEPS, TRAIN_DEFAULTS } from "../model/training.ts";
import { composeAdapter, type WeightedPenalty } from "../regularizer/adapter/compose.ts";
import { checkNames } from "../regularizer/check-names.ts";
import { supportOf } from "../regularizer/compose.ts";
import type { Regularizer } from "../regularizer/contract.ts";
import { TrainingDivergedError } from "./diverged.ts";
import { StepEvents } from "./events.ts";
import type { RegularizerResult, StepResult } from "./metrics.ts";
import { Objective, type Term } from "./objective.ts";
import { learningRate } from "./schedule.ts";
import { readState, type TrainState, writeState } from "./state.ts";

/** What is trained, on what, and how. */
export interface TrainOptions {
  /** The model under training; its weights change. */
  readonly client: TrainingClient;
  readonly data: readonly Datum[];
  /** Parts of the data with fixed shares of what is drawn, in its order. Default: each datum is drawn as often as any other. */
  readonly mixture?: readonly MixturePart[] | undefined;
  /** How many updates to make, each on `batchSize` data. Default 300. */
  readonly steps?: number | undefined;
  /** How often to go through the data instead, each datum once an epoch: the last batch of one may be smaller. May be a fraction. */
  readonly epochs?: number | undefined;
  /** Data per update. Default 16. */
  readonly batchSize?: number | undefined;
  /** Of the order of the data. Default 1. */
  readonly seed?: number | undefined;
  /** A new order each time through the data; false keeps the one given. Default true. */
  readonly shuffle?: boolean | undefined;
  /** AdamW and the schedule of its learning rate. */
  readonly optimizer?: OptimizerOptions | undefined;
  /** What holds the model back, with its weight and text, or alone with its own default weight. Default: none. */
  readonly regularizers?: readonly (Term | Regularizer)[] | undefined;
  /** Penalties on the adapter's own matrices, once per step. Default: none. */
  readonly adapterPenalties?: readonly WeightedPenalty[] | undefined;
  /** Full reports, with gradient norms and top-1 agreement, every so many steps and in the last; 0 = never. Default 10. */
  readonly reportEvery?: number | undefined;
  /** The state that an earlier training of the same options ended in: goes on with the step after it. */
  readonly state?: TrainState | undefined;
  /** Called after each step, once its update is made; training ends where it says `"stop"`. */
  readonly onStep?: ((result: StepResult, details: StepDetails) => StepVerdict | Promise<StepVerdict>) | undefined;
  /** When aborted, the step under way is finished and training ends; a step that waits for a reference is given up. */
  readonly signal?: AbortSignal | undefined;
  /** A clock in milliseconds. */
  readonly now?: (() => number) | undefined;
}

/** Whether training goes on after a step. */
// biome-ignore lint/suspicious/noConfusingVoidType: most callers return nothing.
export type StepVerdict = "stop" | void;

/** What a step offers beside its numbers. */
export interface StepDetails {
  /** Whether it was reported in full. */
  readonly full: boolean;
  /** The value of each position, by the name of its regularizer. */
  readonly positions: Readonly<Record<string, readonly PositionValues[]>>;
  /** The state after this step. Call it before the next step begins. @throws UserError for an engine that does not tell. */
  state(): Promise<TrainState>;
}

/** What training measured. */
export interface TrainResult {
  /** Of every step taken. */
  readonly rows: readonly StepResult[];
  /** Whether the signal ended it before all steps were taken. */
  readonly interrupted: boolean;
}

/**
 * Trains: each step minimizes Σ w·CE / Σ w + Σ weightᵢ · regularizerᵢ on the next batch, with a regularizer that has
 * anchors on the next texts of those, instead or as well, and makes one update for all. Knows only the engine's contract:
 * what it trains may run in this process or on a server.
 *
 * @throws TrainingDivergedError before the update when the loss or the gradient is no longer finite; UserError for
 * regularizers of one name, for what the engine does not offer and a regularizer needs, and what they themselves refuse.
 * The client keeps the weights of the last update.
 * @example
 * const client = await model.trainingClient({ rank: 8 });
 * const kl = new KLDivergence({ reference: baseReference(client.sampler("base")) });
 * const { rows } = await train({ client, data, regularizers: [kl] });
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { client, data, optimizer = {}, adapterPenalties = [], state, signal } = options;
  const { reportEvery } = checked(options);
  if (data.length === 0) throw new UserError("train() was given no data: give at least one datum");
  checkOptimizer(optimizer);
  const batches = trainingBatches(options);
  const steps = countSteps(options, batches.stepsPerEpoch);
  const now = options.now ?? (() => performance.now());
  const events = new StepEvents(steps);
  const terms = (options.regularizers ?? []).map((term) => ("regularizer" in term ? term : { regularizer: term }));
  checkNames([
    ...terms.map(({ regularizer }) => regularizer.name),
    ...adapterPenalties.map(({ penalty }) => penalty.name),
  ]);
  const pass = checkEngine(client, data, terms, adapterPenalties);
  const objective = new Objective(terms.map((term) => ({ ...term, regularizer: events.watch(term.regularizer) })));
  const adapter = composeAdapter(adapterPenalties);
  const states = { regularizers: objective.state, penalties: adapter.state };
  const rows: StepResult[] = [];
  let taken = state?.step ?? 0;
  if (state) await writeState(state, client, states);

  while (taken < steps && !signal?.aborted) {
    const started = now();
    const number = taken + 1;
    const full = reportEvery > 0 && ((number - 1) % reportEvery === 0 || number === steps);
    const step: Step = { number, full, signal };
    events.begin(number);
    let tokens = 0;
    let penalties: Readonly<Record<string, RegularizerResult>> = {};
    let open: Awaited<ReturnType<Objective["begin"]>>;
    try {
      open = await objective.begin(batches.at(number), step);
      // Gradients of all passes accumulate in the client until the update.
      for (const { data, add } of open.passes) {
        await pass(data, add);
        open.checkFinite();
        for (const { modelInput } of data) tokens += modelInput.length;
      }
      if (adapterPenalties.length > 0) {
        await client.matrices!.backward((matrices) => {
          const measured = adapter.compute(matrices, step);
          penalties = measured.members;
          return measured;
        });
      }
    } catch (error) {
      // Whoever was waited for has given up; the step is not taken.
      if (signal?.aborted && error === signal.reason) break;
      throw error;
    }
    const { value, members, ...measured } = open.end();
    const loss = value + Object.values(penalties).reduce((sum, { contribution }) => sum + contribution, 0);
    if (!Number.isFinite(loss)) throw new TrainingDivergedError(number, `the loss became ${loss}`, open.worst());
    const learning_rate = learningRate(number, steps, optimizer);
    const { grad_norm } = await client.optimStep(adamParams(optimizer, learning_rate));
    if (grad_norm !== null && !Number.isFinite(grad_norm)) {
      throw new TrainingDivergedError(number, `the gradient's norm became ${grad_norm}`, open.worst());
    }
    taken = number;
    const result: StepResult = {
      step: number,
      loss,
      ...measured,
      grad_norm: grad_norm ?? Number.NaN,
      learning_rate,
      tokens_per_second: (tokens * 1000) / (now() - started),
      regularizers: { ...withoutPositions(members), ...penalties },
    };
    rows.push(result);
    events.end(result);
    const verdict = await options.onStep?.(result, {
      full,
      positions: positionsOf(members),
      state: () => readState(number, client, states),
    });
    if (verdict === "stop") return { rows, interrupted: false };
  }
  return { rows, interrupted: taken < steps };
}

/** The batches that training takes. @throws UserError for an invalid setting. */
export function trainingBatches(
  options: Pick<TrainOptions, "data" | "mixture" | "epochs" | "batchSize" | "seed" | "shuffle">,
): Batches<Datum> {
  const { batchSize, seed, shuffle } = checked(options);
  const lastBatch = options.epochs === undefined ? "full" : "smaller";
  const order = { batchSize, seed, shuffle, lastBatch } as const;
  const { data, mixture } = options;
  return mixture ? mixedBatches(data, mixture, order) : batchesOf(data, order);
}

/**
 * How many updates training makes.
 *
 * @throws UserError for steps and epochs together, or epochs that are no number above 0.
 */
export function countSteps({ steps, epochs }: Pick<TrainOptions, "steps" | "epochs">, stepsPerEpoch: number): number {
  if (epochs === undefined) return steps ?? TRAIN_DEFAULTS.steps;
  if (steps !== undefined) throw new UserError("train() was given steps and epochs: give one of them");
  const wanted = Math.max(1, Math.ceil(epochs * stepsPerEpoch));
  if (wanted > MOST_STEPS && epochs < Number.POSITIVE_INFINITY) {
    throw tooManySteps(`${epochs} epochs are ${wanted} steps`);
  }
  if (epochs > 0 && epochs < Number.POSITIVE_INFINITY) return wanted;
  throw new UserError(`epochs of train() is ${epochs}, expected a finite number above 0`);
}

function tooManySteps(found: string): UserError {
  return new UserError(`${found}, at most ${MOST_STEPS.toLocaleString("en")} are made: give fewer`);
}

/** @throws UserError for an invalid setting. */
function checked(options: Partial<Pick<TrainOptions, keyof typeof TRAIN_DEFAULTS>>) {
  const settings = withDefaults(TRAIN_DEFAULTS, options);
  for (const [name, least] of Object.entries({ steps: 1, batchSize: 1, seed: 0, reportEvery: 0 } as const)) {
    const value = settings[name as keyof typeof TRAIN_DEFAULTS];
    if (Number.isSafeInteger(value) && (value as number) >= least) continue;
    throw new UserError(`${name} of train() is ${value}, expected a whole number of at least ${least}`);
  }
  if (settings.steps > MOST_STEPS) throw tooManySteps(`steps of train() is ${settings.steps}`);
  return settings;
}

/** How data are run: whole distributions where the engine has them, else the log-probabilities of targets. */
function checkEngine(
  client: TrainingClient,
  data: readonly Datum[],
  terms: readonly Term[],
  penalties: readonly WeightedPenalty[],
): TrainingClient["forwardBackward"] {
  const support = supportOf(terms.map(({ regularizer }) => regularizer));
  if (!client.vocabulary && support === "vocabulary") {
    const names = terms.flatMap(({ regularizer }) =>
      (regularizer.support ?? "vocabulary") === "vocabulary" ? [regularizer.name] : [],
    );
    throw new UserError(
      `this engine tells the log-probabilities of target tokens alone, and ${names.join(", ")} needs the whole vocabulary: use an embedded engine, or take the regularizer out`,
    );
  }
  if (penalties.length > 0 && !client.matrices) {
    throw new UserError(
      `this engine keeps the adapter's matrices on its server, so penalties on them (${penalties.map(({ penalty }) => penalty.name).join(", ")}) need an embedded engine; weight_decay is the server's own`,
    );
  }
  const crowded = client.manyTargets ? undefined : data.find(hasManyTargets);
  if (crowded) {
    throw new UserError(
      `${crowded.source ?? "a datum"} has several targets after the same tokens, which this engine does not take: give one target a position`,
    );
  }
  return client.vocabulary && support !== "targets"
    ? (data, add) => client.vocabulary!.forwardBackward(data, add)
    : (data, add) => client.forwardBackward(data, add);
}

function hasManyTargets({ lossInputs: { positions } }: Datum): boolean {
  return positions !== undefined && new Set(positions.data).size < positions.data.length;
}

function adamParams(options: OptimizerOptions, learning_rate: number): AdamParams {
  const { betas, eps, weightDecay, gradClip } = withDefaults(ADAMW_DEFAULTS, options);
  return { learning_rate, beta1: betas[0], beta2: betas[1], eps, weight_decay: weightDecay, grad_clip_norm: gradClip };
}

type Members = Readonly<Record<string, RegularizerResult>>;

function positionsOf(members: Members): StepDetails["positions"] {
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, { positions }]) => (positions ? [[name, positions] as const] : [])),
  );
}

/** What is remembered of every step: numbers. */
function withoutPositions(members: Members): Members {
  return Object.fromEntries(Object.entries(members).map(([name, { positions, ...numbers }]) => [name, numbers]));
}
