import { UserError } from "../../common/errors.ts";
import type { Engine, ModelFacts } from "../../model/contract.ts";
import type { AdapterStart, LoraOptions } from "../../model/lora.ts";
import { toLoraConfig } from "./lora-config.ts";
import type { RemoteSamplingClient } from "./sampling-client.ts";
import { connect, type ServiceClient } from "./service-client.ts";
import type { RemoteTrainingClient } from "./training-client.ts";

export interface TinkerEngineOptions {
  /** Where the server is, without `/api/v1`: `http://127.0.0.1:8471`. */
  readonly base_url: string;
  /** A name that the server knows. */
  readonly base_model: string;
  readonly api_key?: string | undefined;
  /** Ends every request under way, and every wait. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * A base model on a server that speaks the Tinker API.
 *
 * @throws UserError when the server does not serve the model; the classes of `TinkerError`.
 */
export async function openTinkerEngine(options: TinkerEngineOptions): Promise<TinkerEngine> {
  const { base_url, base_model, api_key, signal } = options;
  const service = await connect({ baseUrl: base_url, apiKey: api_key, signal });
  try {
    const models = await service.models();
    const found = models.find(({ model_name }) => model_name === base_model);
    if (!found) {
      const names = models.map(({ model_name }) => model_name).join(", ");
      throw new UserError(`${base_url} does not serve ${base_model}, expected one of its models: ${names}.`);
    }
    return new TinkerEngine(service, base_model, found.max_context_length ?? Number.POSITIVE_INFINITY);
  } catch (error) {
    service.close();
    throw error;
  }
}

/** One base model of a server. */
export class TinkerEngine implements Engine {
  readonly model: ModelFacts;
  readonly #service: ServiceClient;

  constructor(service: ServiceClient, base_model: string, maxPositions: number) {
    this.#service = service;
    // The protocol does not tell the size of the vocabulary.
    this.model = { name: base_model, vocabSize: Number.POSITIVE_INFINITY, maxPositions };
  }

  /**
   * @param start of a fresh adapter, with Tinker's own defaults; `adapter` is a `tinker://` path of saved weights.
   * @throws UserError for settings that the protocol does not carry, and for a folder of this machine.
   */
  async trainingClient(start: LoraOptions | AdapterStart = {}): Promise<RemoteTrainingClient> {
    const base_model = this.model.name;
    if (!("adapter" in start)) return this.#service.createTrainingClient({ base_model, ...toLoraConfig(start) });
    const path = serverPath(start.adapter);
    const client = await this.#service.createTrainingClient({ base_model });
    await client.load(path, { optimizer: false });
    return client;
  }

  /** @param adapter a `tinker://` path of weights that were saved for sampling. */
  async sampler(adapter?: string): Promise<RemoteSamplingClient> {
    if (adapter === undefined) return this.#service.sampler({ base_model: this.model.name });
    return this.#service.sampler({ model_path: serverPath(adapter) });
  }

  /** Ends the session's heartbeat. */
  async close(): Promise<void> {
    this.#service.close();
  }
}

function serverPath(adapter: string): string {
  if (adapter.startsWith("tinker://")) return adapter;
  throw new UserError(`the adapter ${adapter} is not on the server: give a tinker:// path that a save returned.`);
}
