import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Penalty } from "../loss/legacy.ts";
import type { AdapterMatrices, MatrixPenalty } from "../regularizer/adapter/contract.ts";

/** Settings of one AdamW update, named as in the Tinker API. */
export interface AdamParams {
  readonly learning_rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Decoupled weight decay (AdamW). */
  readonly weight_decay: number;
  /** Gradients are scaled down to this global L2 norm; 0 = off. */
  readonly grad_clip_norm: number;
}

/** What `forward` and `forwardBackward` return: per datum the log-probabilities of its target tokens, [M]. */
export interface ForwardOutput {
  readonly logprobs: readonly Tensor[];
  /** Keys are `name:reduction`, as on Tinker's wire; `loss:sum` is −Σ w·log p. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * A loss of the caller's own. `support` says what `logprobs[i]` holds: `"vocabulary"` the whole distribution of each row
 * of `data[i]`, [M, V]; `"sampled"` the log-probabilities of its target tokens, [M]. The engine may call `compute` several
 * times with parts of the batch; losses and metrics of the parts add up (see `mergePenaltyMetrics`), so a mean must
 * divide by the whole batch's total weight. `gradient` has the shapes of `logprobs`: with respect to the logits for
 * `"vocabulary"`, to the given log-probabilities for `"sampled"`.
 */
export interface CustomLoss {
  readonly support: "vocabulary" | "sampled";
  compute(data: readonly Datum[], logprobs: readonly Tensor[]): Promise<Penalty> | Penalty;
}

/** What `forwardBackwardCustom` returns: the merged loss and metrics of all parts. */
export interface CustomOutput {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A loss of the adapter's own matrices, by their names in PEFT's layout. Its gradient is shaped like them. */
export type AdapterLoss = (matrices: AdapterMatrices) => MatrixPenalty;

/** A model under training. Embedded and remote engines implement it alike. */
export interface TrainingClient {
  /** Log-probabilities of the target tokens; changes nothing. */
  forward(data: readonly Datum[]): Promise<ForwardOutput>;
  /** As `forward`, and adds the gradient of −Σ w·log p to what has accumulated since the last `optimStep`. */
  forwardBackward(data: readonly Datum[]): Promise<ForwardOutput>;
  /** As `forwardBackward` for the caller's own loss. */
  forwardBackwardCustom(data: readonly Datum[], loss: CustomLoss): Promise<CustomOutput>;
  /**
   * Adds the gradient of a loss of the adapter's matrices to what has accumulated since the last `optimStep`. Embedded
   * engines only: a remote one, which keeps the matrices on its server, rejects with a UserError that says so.
   */
  backwardAdapter(loss: AdapterLoss): Promise<CustomOutput>;
  /**
   * One AdamW update from the accumulated gradients, which are then cleared. `grad_norm` is taken over all trained
   * matrices before clipping; null where a server does not tell. When it is not finite, nothing is updated.
   */
  optimStep(params: AdamParams): Promise<{ readonly grad_norm: number | null }>;
  /** Saves adapter and optimizer state in the folder, or under that name on a server; loadable by `loadState`. */
  saveState(folder: string): Promise<void>;
  /** Takes up what `saveState` left: weights, moments and the count of steps. */
  loadState(folder: string): Promise<void>;
  /** Writes the adapter in PEFT's layout: `adapter_config.json`, `adapter_model.safetensors`. */
  saveAdapter(folder: string): Promise<void>;
  /** A sampler over the weights as they are when it is asked, or over the base with the adapter off. */
  sampler(weights: "current" | "base"): SamplingClient;
  /** Frees what the client holds. */
  close?(): Promise<void>;
}

/** How to draw tokens. Names as in the Tinker API. */
export interface SamplingParams {
  readonly max_tokens: number;
  /** 0 is greedy. Default 1. */
  readonly temperature?: number;
  readonly seed?: number;
  /** Token ids that end a sequence; they are part of the returned tokens. */
  readonly stop?: readonly number[];
}

/** What was drawn after one prompt. */
export interface SampledSequence {
  /** [n] without the prompt, with the token that ended it. */
  readonly tokens: Int32Array;
  /** [n] the log-probability of each, in nats. */
  readonly logprobs: Float32Array;
  /** `"length"`: `max_tokens` were drawn. */
  readonly stop_reason: "stop" | "length";
}

/** A model of given weights, to draw from and to ask for its probabilities. */
export interface SamplingClient {
  /** One sequence per prompt, in order. */
  sample(prompts: readonly (readonly number[] | Int32Array)[], params: SamplingParams): Promise<SampledSequence[]>;
  /** The log-probability of each token given those before it; entry 0 is NaN. */
  computeLogprobs(tokens: readonly (readonly number[] | Int32Array)[]): Promise<Float32Array[]>;
  /** The log-probabilities of each row of each datum over the whole vocabulary, [M, V]: an exact reference. Embedded engines only. */
  distributions(data: readonly Datum[]): Promise<readonly Tensor[]>;
}
