import { z } from "zod";
import { UserError } from "../../common/errors.ts";
import { serialize } from "../../common/serial.ts";
import type { Datum } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { AddPart } from "../../loss/contract.ts";
import { itemsOf, wholeSpans } from "../../loss/items.ts";
import type { AdamParams, TrainingClient } from "../../model/contract.ts";
import { chunked, joined } from "./chunks.ts";
import type { Http } from "./http.ts";
import { rowsOf, toWire } from "./rows.ts";
import { RemoteSamplingClient, type SamplingSession, sessionAnswer } from "./sampling-client.ts";
import {
  decodeForwardBackwardOutput,
  encodeForwardBackwardRequest,
  type ForwardBackwardOutput,
} from "./wire/forward-backward.ts";

const savedAnswer = z.object({ path: z.string() });
const stepAnswer = z.object({ metrics: z.record(z.string(), z.number()).nullish() });

/** A model under training on a server. Calls take effect in the order they are made, awaited or not. */
export class RemoteTrainingClient implements TrainingClient {
  readonly modelId: string;
  readonly manyTargets = true;
  readonly #http: Http;
  readonly #openBase: () => Promise<SamplingSession>;
  /** Where each name that a checkpoint was saved under ended up. */
  readonly #saved = new Map<string, string>();
  /** Held by each call until its last request is sent. */
  readonly #inOrder = serialize();
  #sequence = 0;
  #snapshots = 0;
  /** Sampling sessions: over the base, and over the weights as they are until the next change. */
  readonly #sessions: { base?: Promise<SamplingSession>; current?: Promise<SamplingSession> } = {};

  constructor(http: Http, modelId: string, openBase: () => Promise<SamplingSession>) {
    this.#http = http;
    this.modelId = modelId;
    this.#openBase = openBase;
  }

  async forward(data: readonly Datum[]): Promise<readonly Tensor[]> {
    return targetsOf(data, await this.#awaited(() => this.#send(data, true)));
  }

  /**
   * The loss is linearized: with weights −∂loss/∂logprob, the server's cross-entropy has the loss's own gradient. Costs a
   * forward pass on top.
   */
  async forwardBackward(data: readonly Datum[], add: AddPart): Promise<void> {
    if (data.length === 0) return;
    await this.#awaited(async () => {
      const logprobs = targetsOf(data, await (await this.#send(data, true))());
      const gradient = logprobs.map(({ shape }) => ({ data: new Float32Array(shape[0]!), shape }));
      await add({ spans: wholeSpans(itemsOf(data)), logprobs }, { gradient, scale: 1 });
      return this.#send(
        data.map((datum, i) => weighted(datum, gradient[i]!)),
        false,
      );
    });
  }

  async optimStep(adam_params: AdamParams): Promise<{ readonly grad_norm: number | null }> {
    delete this.#sessions.current;
    const id = await this.#submit("optim_step", { adam_params, type: "optim_step" });
    const { metrics } = await this.#http.result(id, stepAnswer);
    const told = Object.entries(metrics ?? {}).find(([name]) => /(^|\/)grad_norm(:|$)/.test(name));
    return { grad_norm: told?.[1] ?? null };
  }

  readonly checkpoints = {
    /** Adapter and optimizer; an earlier checkpoint of the name is replaced. Gives the path on the server. */
    save: async (name: string): Promise<string> => {
      const id = await this.#submit("save_weights", { path: name, overwrite: true, type: "save_weights" });
      const { path } = await this.#http.result(id, savedAnswer);
      this.#saved.set(name, path);
      return path;
    },
    /** Takes a name that this client saved, or a `tinker://` path. */
    load: async (name: string): Promise<void> => {
      const path = name.startsWith("tinker://") ? name : this.#saved.get(name);
      if (!path)
        throw new UserError(
          `this client saved no checkpoint named ${name}: give one of its names, or a tinker:// path`,
        );
      await this.load(path, { optimizer: true });
    },
  };

  /** Loads weights from a path on the server, with the optimizer's state or without. */
  async load(path: string, { optimizer }: { readonly optimizer: boolean }): Promise<void> {
    delete this.#sessions.current;
    const id = await this.#submit("load_weights", { path, optimizer, type: "load_weights" });
    await this.#http.result(id, z.unknown());
  }

  sampler(weights: "current" | "base"): RemoteSamplingClient {
    return new RemoteSamplingClient(this.#http, () => {
      const session = this.#sessions[weights] ?? (weights === "base" ? this.#openBase() : this.#snapshot());
      this.#sessions[weights] = session;
      // What failed to open is tried anew the next time.
      session.catch(() => delete this.#sessions[weights]);
      return session;
    });
  }

  async #snapshot(): Promise<SamplingSession> {
    const body = { sampling_session_seq_id: this.#snapshots++, type: "save_weights_for_sampler" };
    const id = await this.#submit("save_weights_for_sampler", body);
    return { id: (await this.#http.result(id, sessionAnswer)).sampling_session_id, next: 0 };
  }

  /** Sends a pass over data in as many requests as it takes; gives what waits for the result. */
  async #send(data: readonly Datum[], forward_only: boolean): Promise<() => Promise<ForwardBackwardOutput>> {
    const ids: string[] = [];
    for (const chunk of chunked(data.map(toWire))) {
      const head = { model_id: this.modelId, loss_fn: "cross_entropy", loss_fn_config: {}, forward_only };
      const body = (seq_id: number) => encodeForwardBackwardRequest({ ...head, seq_id, data: chunk });
      ids.push(await this.#numbered((seq_id) => this.#http.submit("forward_backward", body(seq_id))));
    }
    return async () => joined(await Promise.all(ids.map((id) => this.#http.message(id, decodeForwardBackwardOutput))));
  }

  /** Sends requests when those of earlier calls are sent; waits for their result while later calls send theirs. */
  async #awaited<T>(send: () => Promise<() => Promise<T>>): Promise<T> {
    return (await this.#inOrder(send))();
  }

  #submit(path: string, body: object): Promise<string> {
    return this.#inOrder(() =>
      this.#numbered((seq_id) => this.#http.submit(path, { model_id: this.modelId, seq_id, ...body })),
    );
  }

  /** The server runs requests by number and would wait forever for one left out: what it refused passes its number on. */
  async #numbered(send: (seq_id: number) => Promise<string>): Promise<string> {
    const id = await send(this.#sequence + 1);
    this.#sequence++;
    return id;
  }
}

function targetsOf(data: readonly Datum[], { outputs }: ForwardBackwardOutput): Tensor[] {
  return data.map((datum, i) => rowsOf(datum, outputs[i]?.logprobs));
}

/** The datum with weights whose cross-entropy has this gradient. */
function weighted(datum: Datum, { data, shape }: Tensor): Datum {
  return { ...datum, lossInputs: { ...datum.lossInputs, weights: { data: data.map((g) => -g), shape } } };
}
