import { z } from "zod";
import { withDefaults } from "../../common/defaults.ts";
import { TINKER_LORA_DEFAULTS } from "../../model/lora.ts";
import { type ConnectOptions, Http } from "./http.ts";
import { RemoteSamplingClient, type SamplingSession, sessionAnswer } from "./sampling-client.ts";
import { RemoteTrainingClient } from "./training-client.ts";

export interface RemoteModelOptions {
  /** A name that the server knows. */
  readonly base_model: string;
  /** LoRA's rank. Default 32, as in Tinker's own client. */
  readonly rank?: number | undefined;
  /** Seed of the adapter's random start. Default: the server's choice. */
  readonly seed?: number | undefined;
  /** Which layers get an adapter. Default true, all three. */
  readonly train_mlp?: boolean | undefined;
  readonly train_attn?: boolean | undefined;
  readonly train_unembed?: boolean | undefined;
}

/** Of the client whose protocol this one speaks; servers may go by it. */
const SDK_VERSION = "0.25.0";
const HEARTBEAT_MS = 10_000;

const capabilities = z.object({
  supported_models: z.array(z.object({ model_name: z.string(), max_context_length: z.number().nullish() })),
});

/**
 * Opens a session with a server that speaks the Tinker API.
 *
 * @throws ConnectionError, AuthenticationError and the other classes of `TinkerError`.
 * @example
 * const service = await connect({ baseUrl: "http://127.0.0.1:8471" });
 * const model = await service.createTrainingClient({ base_model: "small-world", rank: 8 });
 */
export async function connect(options: ConnectOptions): Promise<ServiceClient> {
  const http = new Http(options);
  const body = { tags: ["klamp"], user_metadata: {}, sdk_version: SDK_VERSION, type: "create_session" };
  const { session_id } = await http.post("create_session", body, z.object({ session_id: z.string() }));
  return new ServiceClient(http, session_id);
}

/** A session with a server: creates training clients and samplers, and keeps itself alive until it is closed. */
export class ServiceClient {
  readonly #http: Http;
  readonly #session: string;
  readonly #heartbeat: NodeJS.Timeout;
  #models = 0;
  #samplers = 0;

  constructor(http: Http, session: string) {
    this.#http = http;
    this.#session = session;
    // A missed beat says nothing that the next request would not say better.
    const beat = () =>
      http
        .post("session_heartbeat", { session_id: session, type: "session_heartbeat" }, z.unknown())
        .catch(() => undefined);
    this.#heartbeat = setInterval(beat, HEARTBEAT_MS).unref();
  }

  /** The base models that the server has. */
  async models(): Promise<z.infer<typeof capabilities>["supported_models"]> {
    return (await this.#http.get("get_server_capabilities", capabilities)).supported_models;
  }

  async createTrainingClient(options: RemoteModelOptions): Promise<RemoteTrainingClient> {
    const { base_model, seed } = options;
    const { rank, train_mlp, train_attn, train_unembed } = withDefaults(TINKER_LORA_DEFAULTS, options);
    const id = await this.#http.submit("create_model", {
      session_id: this.#session,
      model_seq_id: this.#models++,
      base_model,
      lora_config: { rank, ...(seed !== undefined && { seed }), train_mlp, train_attn, train_unembed },
      type: "create_model",
    });
    const { model_id } = await this.#http.result(id, z.object({ model_id: z.string() }));
    return new RemoteTrainingClient(this.#http, model_id, () => this.#open({ base_model }));
  }

  /** A sampler over a base model, or over weights saved for sampling. */
  async sampler(
    weights: { readonly base_model: string } | { readonly model_path: string },
  ): Promise<RemoteSamplingClient> {
    const session = await this.#open(weights);
    return new RemoteSamplingClient(this.#http, async () => session);
  }

  /** Ends the heartbeat; the server may forget the session. */
  close(): void {
    clearInterval(this.#heartbeat);
  }

  async #open(weights: object): Promise<SamplingSession> {
    const body = {
      session_id: this.#session,
      sampling_session_seq_id: this.#samplers++,
      ...weights,
      type: "create_sampling_session",
    };
    return { id: (await this.#http.post("create_sampling_session", body, sessionAnswer)).sampling_session_id, next: 0 };
  }
}
