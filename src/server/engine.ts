import type { SamplingClient, TrainingClient } from "../model/legacy.ts";

/** What a client asks of a new model under training. */
export interface TrainingOptions {
  readonly base_model: string;
  readonly rank: number;
  readonly seed?: number;
  readonly train_attn: boolean;
  readonly train_mlp: boolean;
  /** A folder that `saveState` or `saveAdapter` wrote, to start from. It brings its own rank and layers. */
  readonly adapter?: string;
}

/** The server closes a client that it is done with. */
export type ServedClient = TrainingClient & { close?(): Promise<void> };

/** What the server puts on the wire: base models, and clients that train and sample them. */
export interface ServedEngine {
  readonly models: readonly { readonly model_name: string; readonly max_context_length?: number }[];
  createTrainingClient(options: TrainingOptions): Promise<ServedClient>;
  /** Over the base, or with a folder's adapter on top, which is read before the promise resolves. */
  createSampler(base_model: string, adapter?: string): Promise<SamplingClient>;
}
