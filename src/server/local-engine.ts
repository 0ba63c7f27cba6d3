import { UserError } from "../common/errors.ts";
import { readAdapter, toLora } from "../engine/local/files/adapter.ts";
import type { LocalModel } from "../engine/local/local-model.ts";
import { floats } from "../engine/local/program.ts";
import { LocalSamplingClient } from "../engine/local/sampling-client.ts";
import type { Projection } from "../model/lora.ts";
import type { ServedEngine, TrainingOptions } from "./engine.ts";

const ATTENTION: readonly Projection[] = ["q_proj", "k_proj", "v_proj", "o_proj"];
const MLP: readonly Projection[] = ["gate_proj", "up_proj", "down_proj"];

export interface LocalServedOptions {
  /** What clients call the model. */
  readonly name: string;
  /** LoRA's alpha, which the wire does not carry. Default 32, as on Tinker's own service. */
  readonly alpha?: number;
}

/** Serves an embedded model. The head never gets an adapter, whatever `train_unembed` says. */
export function localEngine(model: LocalModel, { name, alpha = 32 }: LocalServedOptions): ServedEngine {
  return {
    models: [{ model_name: name, max_context_length: model.config.maxPositions }],
    createTrainingClient: async ({ adapter, rank, seed, train_attn, train_mlp }: TrainingOptions) => {
      if (adapter !== undefined) return model.trainingClient({ adapter });
      const target_modules = [...(train_attn ? ATTENTION : []), ...(train_mlp ? MLP : [])];
      if (target_modules.length === 0)
        throw new UserError("train_attn and train_mlp are both off, which leaves nothing to train: turn one on");
      return model.trainingClient({ rank, alpha, target_modules, ...(seed !== undefined && { seed }) });
    },
    createSampler: async (_, folder) => {
      if (folder === undefined) return model.sampler();
      const adapter = await readAdapter(folder, model.config);
      const feeds = new Map([...adapter.matrices].map(([key, { data, shape }]) => [key, floats(data, shape)]));
      return new LocalSamplingClient(model, { lora: toLora(adapter), feeds });
    },
  };
}
