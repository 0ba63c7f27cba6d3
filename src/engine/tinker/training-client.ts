import { z } from "zod";
import { UserError } from "../../common/errors.ts";
import { type Datum, rowCount } from "../../data/datum.ts";
import { formatShape, type Tensor } from "../../divergence/tensor.ts";
import type { AdamParams, CustomLoss, CustomOutput, ForwardOutput, TrainingClient } from "../../model/legacy.ts";
import { chunked, joined } from "./chunks.ts";
import type { Http } from "./http.ts";
import { rowsOf, toWire } from "./rows.ts";
import { RemoteSamplingClient, type SamplingSession, sessionAnswer } from "./sampling-client.ts";
import { decodeForwardBackwardOutput, encodeForwardBackwardRequest } from "./wire/forward-backward.ts";

const savedAnswer = z.object({ path: z.string() });
const stepAnswer = z.object({ metrics: z.record(z.string(), z.number()).nullish() });

/** A model under training on a server. Calls take effect in the order they are made, awaited or not. */
export class RemoteTrainingClient implements TrainingClient {
  readonly modelId: string;
  readonly #http: Http;
  readonly #openBase: () => Promise<SamplingSession>;
  /** Where each name that `saveState` was given ended up. */
  readonly #saved = new Map<string, string>();
  #turn: Promise<unknown> = Promise.resolve();
  #sequence = 0;
  #snapshots = 0;
  /** Sampling sessions: over the base, and over the weights as they are until the next change. */
  readonly #sessions: { base?: Promise<SamplingSession>; current?: Promise<SamplingSession> } = {};

  constructor(http: Http, modelId: string, openBase: () => Promise<SamplingSession>) {
    this.#http = http;
    this.modelId = modelId;
    this.#openBase = openBase;
  }

  forward(data: readonly Datum[]): Promise<ForwardOutput> {
    return this.#pass(data, true);
  }

  forwardBackward(data: readonly Datum[]): Promise<ForwardOutput> {
    return this.#pass(data, false);
  }

  /**
   * The loss is linearized: with weights −∂loss/∂logprob, cross-entropy has the loss's own gradient. Costs a forward pass
   * on top, and sees log-probabilities of target tokens alone.
   *
   * @throws UserError for a loss over the whole vocabulary, which no remote engine hands out.
   */
  async forwardBackwardCustom(data: readonly Datum[], loss: CustomLoss): Promise<CustomOutput> {
    if (loss.support === "vocabulary") {
      throw new UserError(
        'a remote engine has no whole-vocabulary distributions: use a loss with support "sampled", over the log-probabilities of target tokens, or an embedded engine',
      );
    }
    const { logprobs } = await this.forward(data);
    const penalty = await loss.compute(data, logprobs);
    await this.forwardBackward(data.map((datum, i) => weighted(datum, penalty.gradient[i], i)));
    return { loss: penalty.loss, metrics: penalty.metrics };
  }

  /** @throws UserError always. */
  async backwardAdapter(): Promise<never> {
    throw new UserError(
      "a remote engine keeps the adapter's matrices on its server, so penalties on them (l1, l2, elastic_net, orthogonality) need an embedded engine; weight_decay in optimStep is the server's own",
    );
  }

  async optimStep(adam_params: AdamParams): Promise<{ readonly grad_norm: number | null }> {
    delete this.#sessions.current;
    const id = await this.#submit("optim_step", { adam_params, type: "optim_step" });
    const { metrics } = await this.#http.result(id, stepAnswer);
    const told = Object.entries(metrics ?? {}).find(([name]) => /(^|\/)grad_norm(:|$)/.test(name));
    return { grad_norm: told?.[1] ?? null };
  }

  /** Saves adapter and optimizer on the server under a name, not a folder; an earlier one of that name is replaced. */
  async saveState(name: string): Promise<void> {
    const id = await this.#submit("save_weights", { path: name, overwrite: true, type: "save_weights" });
    this.#saved.set(name, (await this.#http.result(id, savedAnswer)).path);
  }

  /** Takes a name that this client saved, or a `tinker://` path. */
  async loadState(name: string): Promise<void> {
    const path = name.startsWith("tinker://") ? name : this.#saved.get(name);
    if (!path)
      throw new UserError(`this client saved no state named ${name}: give one of its names, or a tinker:// path`);
    delete this.#sessions.current;
    await this.#http.result(
      await this.#submit("load_weights", { path, optimizer: true, type: "load_weights" }),
      z.unknown(),
    );
  }

  async saveAdapter(): Promise<void> {
    throw new UserError("a remote engine keeps its adapter on the server: use saveState(name) to keep it there");
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

  async #pass(data: readonly Datum[], forward_only: boolean): Promise<ForwardOutput> {
    if (data.length === 0) return { logprobs: [], metrics: {} };
    const submitted = chunked(data.map(toWire)).map((chunk) =>
      this.#inTurn((seq_id) => {
        const head = { model_id: this.modelId, seq_id, loss_fn: "cross_entropy", loss_fn_config: {}, forward_only };
        return this.#http.submit("forward_backward", encodeForwardBackwardRequest({ ...head, data: chunk }));
      }),
    );
    const parts = await Promise.all(
      submitted.map(async (id) => this.#http.message(await id, decodeForwardBackwardOutput)),
    );
    const { outputs, metrics } = joined(parts);
    return { logprobs: data.map((datum, i) => rowsOf(datum, outputs[i]?.logprobs)), metrics };
  }

  #submit(path: string, body: object): Promise<string> {
    return this.#inTurn((seq_id) => this.#http.submit(path, { model_id: this.modelId, seq_id, ...body }));
  }

  /**
   * Sends one request after the other. The server runs them by number and would wait for ever for a number left out, so
   * one that it refused passes its number on.
   */
  #inTurn(send: (seq_id: number) => Promise<string>): Promise<string> {
    const sent = this.#turn.then(async () => {
      const id = await send(this.#sequence + 1);
      this.#sequence++;
      return id;
    });
    this.#turn = sent.catch(() => undefined);
    return sent;
  }
}

function weighted(datum: Datum, gradient: Tensor | undefined, index: number): Datum {
  const rows = rowCount(datum);
  if (gradient?.data.length !== rows) {
    const found = gradient ? formatShape(gradient.shape) : "none";
    throw new UserError(
      `the loss has a gradient of shape ${found} for datum ${index}, expected [${rows}], one entry a target token`,
    );
  }
  const weights = { data: gradient.data.map((slope) => -slope), shape: [rows] };
  return { ...datum, lossInputs: { ...datum.lossInputs, weights } };
}
