import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../../src/engine/tinker/index.ts";
import {
  decodeForwardBackwardOutput,
  encodeForwardBackwardRequest,
} from "../../src/engine/tinker/wire/forward-backward.ts";
import { decodeSampleResponse } from "../../src/engine/tinker/wire/sample.ts";
import { createServer, type RunningServer } from "../../src/server/index.ts";
import { addLikelihood, randomData, reweighted, tinyModel, worstDifference } from "../engine/local/models.ts";
import { adam, Bigram, bigramEngine, datum } from "../engine/tinker/bigram.ts";

type Json = { readonly [key: string]: unknown };

let folder: string;
let server: RunningServer;
let engine: ReturnType<typeof bigramEngine>;
let session_id: string;
let model_id: string;

async function send(path: string, body: object): Promise<{ status: number; json: Json; bytes: Uint8Array }> {
  const isProtobuf = body instanceof Uint8Array;
  const response = await fetch(`${server.url}/api/v1/${path}`, {
    method: "POST",
    headers: { "content-type": isProtobuf ? "application/x-protobuf" : "application/json" },
    body: isProtobuf ? new Uint8Array(body) : JSON.stringify(body),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const isJson = response.headers.get("content-type") === "application/json";
  return { status: response.status, json: isJson ? JSON.parse(new TextDecoder().decode(bytes)) : {}, bytes };
}

const post = async (path: string, body: object) => (await send(path, body)).json;
const poll = (promise: Json) => send("retrieve_future", { request_id: promise.request_id, allow_metadata_only: false });
async function retrieve(promise: Json) {
  for (;;) {
    const answer = await poll(promise);
    if (answer.json.type !== "try_again") return answer;
  }
}
const resultOf = async (path: string, body: object) => (await retrieve(await post(path, body))).json;

const wire = (seq_id: number, tokens: number[], targets: number[], more: object = {}) => {
  const { modelInput, lossInputs } = datum(tokens, targets);
  const inputs = { target_tokens: lossInputs.target_tokens, weights: lossInputs.weights };
  const head = { model_id, seq_id, loss_fn: "cross_entropy", loss_fn_config: {}, forward_only: false };
  return encodeForwardBackwardRequest({ ...head, data: [{ tokens: modelInput, lossInputs: inputs }], ...more });
};
const optimStep = (seq_id: number) => ({ model_id, seq_id, adam_params: adam, type: "optim_step" });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "klamp-"));
  engine = bigramEngine();
  server = await createServer(engine, { checkpoints: folder, holdMs: 1000 });
  session_id = (
    await post("create_session", { tags: [], user_metadata: {}, sdk_version: "0.25.0", type: "create_session" })
  ).session_id as string;
  const created = await resultOf("create_model", {
    session_id,
    model_seq_id: 0,
    base_model: "bigram",
    lora_config: { rank: 4, train_unembed: true },
    type: "create_model",
  });
  model_id = created.model_id as string;
});

afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

describe("a client's start", () => {
  it("is answered step by step", async () => {
    expect(await post("client/config", { sdk_version: "0.25.0" })).toMatchObject({
      pjwt_auth_enabled: false,
      use_pyqwest_transport: false,
    });
    expect((await send("client/dynamic_config", {})).status).toBe(404);
    expect(await post("session_heartbeat", { session_id, type: "session_heartbeat" })).toEqual({
      type: "session_heartbeat",
    });
    expect(await post("telemetry", { events: [], session_id })).toEqual({ status: "accepted" });
    const get = async (path: string) => (await fetch(`${server.url}/api/v1/${path}`)).json();
    expect(await get("healthz")).toEqual({ status: "ok" });
    expect(await get("get_server_capabilities")).toEqual({ supported_models: [{ model_name: "bigram" }] });
    expect(await post("get_info", { model_id, type: "get_info" })).toMatchObject({
      model_id,
      model_name: "bigram",
      is_lora: true,
      lora_rank: 4,
    });
    expect(model_id).toBe(`${session_id}:train:0`);
  });
});

describe("numbered work", () => {
  it("runs in the order of the numbers, not of arrival", async () => {
    // The parts of a batch, and the step after it, arrive before the first part.
    const second = await post("forward_backward", wire(2, [1], [2]));
    const step = await post("optim_step", optimStep(3));
    expect((await poll(second)).json).toMatchObject({ type: "try_again", queue_state: "active" });
    expect(engine.clients[0]!.calls).toEqual([]);
    const first = await post("forward_backward", wire(1, [0], [1], { data: [] }));
    const { metrics } = (await retrieve(step)).json as { metrics: { grad_norm: number } };
    expect(engine.clients[0]!.calls).toEqual(["forwardBackward 0", "forwardBackward 1", "optimStep"]);
    const direct = new Bigram();
    await addLikelihood(direct, [datum([1], [2])]);
    expect(metrics.grad_norm).toBeCloseTo((await direct.optimStep(adam)).grad_norm!, 10);
    expect(decodeForwardBackwardOutput((await retrieve(first)).bytes).outputs).toEqual([]);
  });

  it("runs once, however often it is sent and asked for", async () => {
    const body = wire(1, [0], [1]);
    const promise = await post("forward_backward", body);
    const { bytes } = await retrieve(promise);
    expect(await post("forward_backward", body)).toEqual(promise);
    expect((await retrieve(promise)).bytes).toEqual(bytes);
    expect(engine.clients[0]!.calls).toEqual(["forwardBackward 1"]);
    expect(await send("forward_backward", wire(1, [0], [2]))).toMatchObject({
      status: 409,
      json: { detail: expect.stringContaining("request 1 came before") },
    });
  });

  it("creates a model with Tinker's alpha and the layers that the wire names", async () => {
    const create = (model_seq_id: number, lora_config: object) =>
      resultOf("create_model", { session_id, model_seq_id, base_model: "bigram", lora_config, type: "create_model" });
    await create(1, {});
    await create(2, { rank: 8, seed: 5, train_mlp: false, train_unembed: true });
    const attention = ["q_proj", "k_proj", "v_proj", "o_proj"];
    const mlp = ["gate_proj", "up_proj", "down_proj"];
    expect(engine.starts.slice(1)).toEqual([
      { rank: 32, alpha: 32, target_modules: [...attention, ...mlp], seed: undefined },
      { rank: 8, alpha: 32, target_modules: attention, seed: 5 },
    ]);
    const nothing = {
      session_id,
      model_seq_id: 3,
      base_model: "bigram",
      lora_config: { train_attn: false, train_mlp: false },
    };
    expect(await send("create_model", nothing)).toMatchObject({
      status: 400,
      json: { detail: expect.stringContaining("leaves nothing to train") },
    });
  });

  it("creates a model once", async () => {
    const body = { session_id, model_seq_id: 7, base_model: "bigram", lora_config: { rank: 4 }, type: "create_model" };
    expect(await post("create_model", body)).toEqual(await post("create_model", body));
    expect(engine.clients).toHaveLength(2);
  });

  it("that fails says so, and lets the next number run", async () => {
    expect(await resultOf("forward_backward", wire(1, [9], [1]))).toEqual({
      error: "token 9 is not in the vocabulary of 6",
      category: "server",
    });
    expect(await resultOf("forward_backward", wire(2, [0], [1], { loss_fn: "ppo" }))).toMatchObject({
      category: "user",
      error: expect.stringContaining('"ppo" is not known here'),
    });
    expect(await resultOf("optim_step", { ...optimStep(3), adam_params: { beta1: 2 } })).toMatchObject({
      category: "user",
      error: expect.stringContaining("adam_params.beta1"),
    });
    expect(await resultOf("optim_step", optimStep(4))).toMatchObject({ metrics: { grad_norm: 0 } });
  });
});

describe("forward_backward", () => {
  it("takes [N, K] targets and sparse weights, and answers in the shape of the targets", async () => {
    const target_tokens = { data: Int32Array.of(1, 2, 3, 4), shape: [2, 2] };
    const weights = { data: Float32Array.of(1, 0, 0, -0.5), shape: [2, 2] };
    const { bytes } = await retrieve(
      await post(
        "forward_backward",
        wire(1, [], [], { data: [{ tokens: Int32Array.of(0, 5), lossInputs: { target_tokens, weights } }] }),
      ),
    );
    const direct = new Bigram();
    const rows = {
      target_tokens: { data: target_tokens.data, shape: [4] },
      weights: { data: weights.data, shape: [4] },
    };
    const positions = { data: Int32Array.of(0, 0, 1, 1), shape: [4] };
    const expected = await addLikelihood(direct, [
      { modelInput: Int32Array.of(0, 5), lossInputs: { ...rows, positions } },
    ]);
    // Also of cells of weight 0.
    expect(decodeForwardBackwardOutput(bytes)).toEqual({
      outputs: [{ logprobs: { data: expected.logprobs[0]!, shape: [2, 2] } }],
      metrics: { "loss:sum": expected.loss },
    });
    expect(engine.clients[0]!.gradient).toEqual(direct.gradient);
  });

  it("takes weights below 0 on whole distributions too: a linearized loss", async () => {
    const model = await tinyModel();
    const local = await createServer(model, { checkpoints: folder, alpha: 4 });
    const service = await connect({ baseUrl: local.url });
    const remote = await service.createTrainingClient({ base_model: "tiny", rank: 2, seed: 1 });
    const direct = await model.trainingClient({ rank: 2, alpha: 4, seed: 1 });
    const signs = randomData([9, 4], 12).map((each) => reweighted(each, (position) => (position % 3) - 1.5));
    const [there, here] = [await addLikelihood(remote, signs), await addLikelihood(direct, signs)];
    for (const [i, logprobs] of there.logprobs.entries())
      expect(worstDifference(logprobs, here.logprobs[i]!)).toBeLessThan(1e-6);
    expect((await remote.optimStep(adam)).grad_norm! / (await direct.optimStep(adam)).grad_norm).toBeCloseTo(1, 5);
    service.close();
    await local.close();
    await direct.close();
    await model.close();
  });

  it("leaves the gradient alone when it is forward only", async () => {
    await retrieve(await post("forward_backward", wire(1, [0], [1], { forward_only: true })));
    expect(engine.clients[0]!.calls).toEqual(["forward"]);
    expect(Math.hypot(...engine.clients[0]!.gradient)).toBe(0);
  });
});

describe("weights", () => {
  it("are loaded with the optimizer's memory or without", async () => {
    await post("forward_backward", wire(1, [0], [1]));
    await post("optim_step", optimStep(2));
    const { path } = await resultOf("save_weights", { model_id, seq_id: 3, path: "one", type: "save_weights" });
    expect(path).toBe(`tinker://${model_id}/weights/one`);
    expect(await resultOf("save_weights", { model_id, seq_id: 4, path: "one" })).toMatchObject({
      category: "user",
      error: expect.stringContaining("there already"),
    });
    const step = async (seq_id: number, optimizer: boolean) => {
      await post("load_weights", { model_id, seq_id, path, optimizer, type: "load_weights" });
      const { bytes } = await retrieve(await post("forward_backward", wire(seq_id + 1, [0], [1])));
      await post("optim_step", optimStep(seq_id + 2));
      await retrieve(await post("forward_backward", wire(seq_id + 3, [0], [1], { data: [] })));
      return {
        loss: decodeForwardBackwardOutput(bytes).metrics["loss:sum"],
        delta: engine.clients.at(-1)!.delta.slice(),
      };
    };
    const [kept, fresh] = [await step(5, true), await step(9, false)];
    expect(fresh.loss).toBe(kept.loss);
    expect(fresh.delta).not.toEqual(kept.delta);
  });

  it("saved for a sampler can be sampled, by path or as a snapshot that leaves no files", async () => {
    await post("forward_backward", wire(1, [0], [1]));
    await post("optim_step", optimStep(2));
    const named = await resultOf("save_weights_for_sampler", { model_id, seq_id: 3, path: "one" });
    expect(named.path).toBe(`tinker://${model_id}/sampler_weights/one`);
    const snapshot = await resultOf("save_weights_for_sampler", { model_id, seq_id: 4, sampling_session_seq_id: 0 });
    const opened = await post("create_sampling_session", {
      session_id,
      sampling_session_seq_id: 0,
      model_path: named.path,
    });
    const base = await post("create_sampling_session", {
      session_id,
      sampling_session_seq_id: 1,
      base_model: "bigram",
    });
    const score = async ({ sampling_session_id }: Json) => {
      const body = {
        sampling_session_id,
        seq_id: 0,
        num_samples: 3,
        prompt: {
          chunks: [
            { type: "encoded_text", tokens: [0] },
            { type: "encoded_text", tokens: [1, 2] },
          ],
        },
      };
      const params = {
        sampling_params: { max_tokens: 2, seed: 1, top_k: -1, top_p: 1 },
        prompt_logprobs: true,
        topk_prompt_logprobs: 0,
        type: "sample",
      };
      return decodeSampleResponse((await retrieve(await post("asample", { ...body, ...params }))).bytes);
    };
    const [bySnapshot, byPath, ofBase] = [await score(snapshot), await score(opened), await score(base)];
    expect(bySnapshot).toEqual(byPath);
    expect(byPath.sequences).toHaveLength(3);
    expect(byPath.prompt_logprobs).toEqual(
      (await engine.clients[0]!.sampler("current").computeLogprobs([[0, 1, 2]]))[0],
    );
    expect(byPath.prompt_logprobs![1]).toBeGreaterThan(ofBase.prompt_logprobs![1]!);
    const saved = await readdir(join(folder, model_id.replaceAll(":", "_"), "sampler_weights"));
    expect(saved).toEqual(["one"]);
  });
});

describe("what cannot be done is answered with { detail }", () => {
  it.each([
    ["an unknown model", "get_info", { model_id: "nobody" }, 404, "there is no model nobody here"],
    [
      "an unknown model to train",
      "optim_step",
      { model_id: "nobody", seq_id: 1 },
      404,
      "there is no model nobody here",
    ],
    [
      "an unknown session",
      "create_model",
      { session_id: "x", model_seq_id: 0, base_model: "bigram", lora_config: {} },
      404,
      "there is no session x",
    ],
    [
      "an unknown sampling session",
      "asample",
      { sampling_session_id: "x", seq_id: 0 },
      404,
      "there is no sampling session x",
    ],
    ["an unknown request", "retrieve_future", { request_id: "99" }, 404, "there is no request 99"],
    ["an unknown route", "unload_everything", {}, 404, "no route POST"],
    ["a number that is none", "optim_step", { model_id: "x", seq_id: 0 }, 400, "seq_id"],
    ["JSON where protobuf is due", "forward_backward", { model_id: "x" }, 415, "application/x-protobuf"],
    ["bytes that are not a message", "forward_backward", Uint8Array.of(255, 255), 400, "not a protobuf message"],
  ])("%s", async (_, path, body, status, detail) => {
    const answer = await send(path, body);
    expect(answer.status).toBe(status);
    expect(answer.json.detail).toContain(detail);
  });

  it("a web page's request, whatever it asks", async () => {
    const response = await fetch(`${server.url}/api/v1/healthz`, { headers: { origin: "https://example.com" } });
    expect(response.status).toBe(403);
  });

  it("settings of sampling that the engine does not have", async () => {
    const { sampling_session_id } = await post("create_sampling_session", {
      session_id,
      sampling_session_seq_id: 0,
      base_model: "bigram",
    });
    const ask = (seq_id: number, params: object, tokens = [1]) =>
      resultOf("asample", {
        sampling_session_id,
        seq_id,
        prompt: { chunks: [{ type: "encoded_text", tokens }] },
        sampling_params: { max_tokens: 1, ...params },
      });
    expect(await ask(0, { top_p: 1.5 })).toMatchObject({
      category: "user",
      error: expect.stringContaining("sampling_params.top_p"),
    });
    expect(await ask(1, { stop: ["\n"] })).toMatchObject({ error: expect.stringContaining("token ids") });
    expect(await ask(2, {}, [])).toMatchObject({ error: expect.stringContaining("the prompt is empty") });
  });
});

describe("the server", () => {
  it("listens on this machine alone, and beyond it only with a key", async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await expect(createServer(engine, { checkpoints: folder, host: "0.0.0.0" })).rejects.toThrow(/give it an API key/);
  });

  it("closes: what runs ends, what waits is given up, polls are told", async () => {
    const step = engine.clients[0]!.optimStep.bind(engine.clients[0]);
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    engine.clients[0]!.optimStep = async (params) => {
      await released;
      return step(params);
    };
    const running = await post("optim_step", optimStep(1));
    await post("optim_step", optimStep(2));
    const polling = poll(running);
    await new Promise((resolve) => setTimeout(resolve, 250));
    const closed = server.close();
    expect(await polling).toMatchObject({ status: 503, json: { detail: "the server is closing" } });
    expect(
      await Promise.race([closed.then(() => "closed"), new Promise((resolve) => setTimeout(resolve, 50, "waits"))]),
    ).toBe("waits");
    release();
    await closed;
    expect(engine.clients[0]!.calls).toEqual(["optimStep"]);
    await expect(post("create_session", {})).rejects.toThrow("fetch failed");
    server = await createServer(engine, { checkpoints: folder });
  });
});
