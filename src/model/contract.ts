import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { AddPart, Measured } from "../loss/contract.ts";
import type { AdapterStart, LoraOptions, LoraSettings } from "./lora.ts";

/**
 * @file What a model is to the rest of klamp, wherever it runs. What only some engines can do is an optional property:
 * whoever needs it asks before training whether it is there, and nothing that is there refuses to work.
 */

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

/** The matrices of a LoRA adapter by their names in PEFT's layout, A [rank, in] and B [out, rank]. Read during the call only. */
export type AdapterMatrices = ReadonlyMap<string, Tensor>;

/** What a loss of the adapter's matrices gives: its value, its gradient shaped like each matrix, numbers to log. */
export interface MatrixMeasured extends Measured {
  /** A matrix that is left out has none. */
  readonly gradient: ReadonlyMap<string, Tensor>;
}

/** A model under training. */
export interface TrainingClient {
  /** Log-probabilities of the target tokens, [M] per datum; changes nothing. */
  forward(data: readonly Datum[]): Promise<readonly Tensor[]>;
  /**
   * Runs data forward, hands the log-probabilities of targets to `add`, [n] per span, in one or more parts, and adds the
   * gradient that it fills in to what has accumulated since the last `optimStep`.
   */
  forwardBackward(data: readonly Datum[], add: AddPart): Promise<void>;
  /**
   * One AdamW update from the accumulated gradients, which are then cleared. `grad_norm` is taken over all trained
   * matrices before clipping; null where a server does not tell. When it is not finite, nothing is updated.
   */
  optimStep(params: AdamParams): Promise<{ readonly grad_norm: number | null }>;
  /** A sampler over the weights as they are when it is asked, or over the base with the adapter off. */
  sampler(weights: "current" | "base"): SamplingClient;
  /** LoRA's settings in force, where an adapter is trained and the engine knows them. */
  readonly lora?: LoraSettings | undefined;
  /** Whole distributions: as `forwardBackward`, with [n, V] per span. */
  readonly vocabulary?: { forwardBackward(data: readonly Datum[], add: AddPart): Promise<void> } | undefined;
  /** Several targets after the same tokens (several positions of a datum at one place; [N, K] on Tinker's wire). */
  readonly manyTargets?: true | undefined;
  /** The adapter's own matrices: adds the gradient of a loss of them. */
  readonly matrices?: { backward(loss: (matrices: AdapterMatrices) => MatrixMeasured): Promise<Measured> } | undefined;
  /** Copies of the model as it is at a moment. */
  readonly snapshots?: Snapshots | undefined;
  /** Weights, moments and the number of updates: all that an exact restart needs of the engine, by name. */
  readonly state?:
    | { read(): Promise<ReadonlyMap<string, Tensor>>; write(tensors: ReadonlyMap<string, Tensor>): Promise<void> }
    | undefined;
  /**
   * Gives the weights the values that they had before the last update: those that its gradients were measured with. Moments
   * and the number of updates stay. An `optimStep` that updated nothing is no update; without an update nothing changes.
   */
  readonly revert?: (() => Promise<void>) | undefined;
  /** Folders on this machine: the adapter in PEFT's layout, alone or with the optimizer's state. */
  readonly folders?:
    | {
        saveAdapter(folder: string): Promise<void>;
        saveState(folder: string): Promise<void>;
        loadState(folder: string): Promise<void>;
      }
    | undefined;
  /** Checkpoints that a server keeps: saved under a name, loaded by that name or by a path of the server. */
  readonly checkpoints?: { save(name: string): Promise<string>; load(name: string): Promise<void> } | undefined;
  /** Frees what the client holds. */
  close?(): Promise<void>;
}

/** Copies of a model's trained weights. */
export interface Snapshots {
  /** The model as it is now, whatever training makes of it later. */
  take(): Snapshot;
  /** The model that a snapshot's tensors came from. */
  restore(tensors: ReadonlyMap<string, Tensor>): Snapshot;
}

/** A model that stays as it is, and the weights that make it so. */
export interface Snapshot extends SamplingClient {
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** How to draw tokens. Names as in the Tinker API. */
export interface SamplingParams {
  readonly max_tokens: number;
  /** 0 is greedy. Default 1. */
  readonly temperature?: number | undefined;
  /** Draws from so many of the likeliest tokens alone. Default all. */
  readonly top_k?: number | undefined;
  /** Draws from the likeliest tokens alone that make up this share, after temperature and `top_k`. Default 1. */
  readonly top_p?: number | undefined;
  readonly seed?: number | undefined;
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

/** Tokens of a prompt. */
export type Tokens = readonly number[] | Int32Array;

/** Who waits for long work: may give it up, and hears how far it is. */
export interface Waiting {
  /** When aborted, the work ends soon, by throwing the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with how much is done, from 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

/** A model of given weights, to draw from and to ask for its probabilities. */
export interface SamplingClient extends Partial<VocabularyModel> {
  /** One sequence per prompt, in order. An engine that cannot give up or tell ignores `waiting`. */
  sample(prompts: readonly Tokens[], params: SamplingParams, waiting?: Waiting): Promise<SampledSequence[]>;
  /** The log-probability of each token given those before it; entry 0 is NaN. */
  computeLogprobs(tokens: readonly Tokens[]): Promise<Float32Array[]>;
  /** The k likeliest tokens at each place of each prompt. @throws UserError when fewer are known. */
  promptTopK?(
    prompts: readonly Int32Array[],
    k: number,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly PromptTopK[]>;
}

/** The tokens that could stand at each place of one prompt of N tokens, row-major [N, k]. Row 0 is undefined: no token comes before it. */
export interface PromptTopK {
  readonly tokens: Int32Array;
  /** Natural log-probabilities in the whole vocabulary, given the tokens before the place. */
  readonly logprobs: Float32Array;
}

/** What a model offers that gives whole distributions: an exact reference. */
export interface VocabularyModel {
  /** The log-probabilities of each position of each datum, [M, V]. */
  distributions(data: readonly Datum[]): Promise<readonly Tensor[]>;
  /** Per datum the final hidden states of its positions, after the last norm, [M, d]. */
  hidden(data: readonly Datum[]): Promise<readonly Tensor[]>;
  /** The log-probabilities [n, V] that the model's head makes of final hidden states [n, d]. */
  fromHidden(hidden: readonly Tensor[]): Promise<readonly Tensor[]>;
  /** Calls `visit` with all positions of all data, in runs of neighbours: valid during the call only. */
  eachRun(data: readonly Datum[], visit: (run: PositionRun) => void): Promise<void>;
}

/** Neighbouring positions of one datum. */
export interface PositionRun {
  /** Which datum, and its first position that is here. */
  readonly index: number;
  readonly row: number;
  /** [n, V]. */
  readonly logprobs: Tensor;
  /** [n, d] what the head makes log-probabilities of. */
  readonly hidden: Tensor;
}

/** A base model that is open somewhere: what runs train and sample. */
export interface Engine {
  readonly model: ModelFacts;
  /** A client that trains a LoRA adapter: a fresh one, or one that a PEFT folder or a server's path holds. */
  trainingClient(start?: LoraOptions | AdapterStart): Promise<TrainingClient>;
  /** A sampler over the base, or over the base with the adapter of a PEFT folder or a server's path. */
  sampler(adapter?: string): Promise<SamplingClient>;
  /** What a reference store needs of a model in this process. */
  readonly stores?: StoreSupport | undefined;
  close(): Promise<void>;
}

/** What is known of a base model. */
export interface ModelFacts {
  /** What it is called: its name on the hub, its folder, or its name on a server. */
  readonly name: string;
  /** The commit, of a model of the hub. */
  readonly revision?: string | undefined;
  /** V; Infinity where a server does not tell. */
  readonly vocabSize: number;
  /** The most tokens that it reads; Infinity where a server does not tell. */
  readonly maxPositions: number;
  /** What its user should know of how it was read, a sentence each. */
  readonly notices?: readonly string[] | undefined;
}

/** What a reference store is identified by, and the head that makes distributions of its hidden states. */
export interface StoreSupport {
  /** d, numbers in a hidden state. */
  readonly hiddenSize: number;
  /** `sha256:…` of configuration and weights. */
  digest(): string;
  /** `sha256:…` of all that the adapter in a PEFT folder does to the model. */
  adapterDigest(folder: string): Promise<string>;
  /** The model's head. Heads of different names do not share the memory of their results. */
  head(name: string): Pick<VocabularyModel, "fromHidden">;
}
