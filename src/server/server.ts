import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { basename } from "node:path";
import { z } from "zod";
import { UserError } from "../common/errors.ts";
import type { Engine } from "../model/contract.ts";
import { TINKER_LORA_DEFAULTS } from "../model/lora.ts";
import { Checkpoints } from "./checkpoints.ts";
import { Futures } from "./futures.ts";
import { HttpError, type ListenOptions, listen, type Routes } from "./http.ts";
import { toLoraOptions } from "./lora-options.ts";
import { Models } from "./models.ts";
import { Once } from "./numbered.ts";
import { createModel, createSamplingSession, parseBody } from "./requests.ts";
import { Samplers } from "./samplers.ts";
import { trainingRoutes } from "./training-routes.ts";

export interface ServerOptions extends ListenOptions {
  /** Folder for the checkpoints that clients save. */
  readonly checkpoints: string;
  /** What clients call the base model. Default: its own name, without the folders before it. */
  readonly name?: string | undefined;
  /** LoRA's alpha, which the wire does not carry. Default 32, as on Tinker's own service. */
  readonly alpha?: number | undefined;
  /** How long a poll without a result is held. Default 30 seconds, less than any client waits. */
  readonly holdMs?: number | undefined;
}

export interface RunningServer {
  readonly url: string;
  /** Stops listening, lets the operation under way end, and gives up those that wait. */
  close(): Promise<void>;
}

const session = z.object({ session_id: z.string() });

/**
 * Serves an engine over the Tinker API, protobuf and JSON as Tinker's client 0.25 speaks them. The head never gets an
 * adapter, whatever `train_unembed` says. The engine is the caller's to close.
 *
 * @throws UserError when it would listen beyond this machine without an API key.
 * @example
 * const engine = await openEngine({ type: "local", model: "./models/small-world" });
 * const server = await createServer(engine, { checkpoints: "./checkpoints" });
 */
export async function createServer(engine: Engine, options: ServerOptions): Promise<RunningServer> {
  const { checkpoints: folder, alpha = TINKER_LORA_DEFAULTS.alpha, holdMs = 30_000, ...where } = options;
  const { name = basename(engine.model.name) } = options;
  const { maxPositions } = engine.model;
  const futures = new Futures();
  const models = new Models(engine, futures);
  const samplers = new Samplers(futures);
  const checkpoints = new Checkpoints(folder);
  const sessions = new Set<string>();
  const created = new Once<string>();
  const closing = new AbortController();

  const known = ({ session_id }: { session_id: string }) => {
    if (!sessions.has(session_id)) throw new HttpError(404, `there is no session ${session_id} here: create one first`);
  };
  const checkServed = (model: string) => {
    if (model !== name) throw new UserError(`the base model ${model} is not served here, expected ${name}`);
  };

  const routes: Routes = {
    "GET healthz": () => ({ status: "ok" }),
    "GET get_server_capabilities": () => ({
      supported_models: [
        { model_name: name, ...(Number.isFinite(maxPositions) && { max_context_length: maxPositions }) },
      ],
    }),
    "POST client/config": () => ({
      pjwt_auth_enabled: false,
      use_pyqwest_transport: false,
      proto_compress_fwdbwd: false,
      parallel_fwdbwd_chunks: true,
    }),
    "POST create_session": () => {
      const session_id = randomUUID();
      sessions.add(session_id);
      return { session_id, type: "create_session" };
    },
    "POST session_heartbeat": (request) => {
      known(parseBody(request, session));
      return { type: "session_heartbeat" };
    },
    "POST telemetry": () => ({ status: "accepted" }),
    "POST create_model": (request) => {
      const { session_id, model_seq_id, base_model, lora_config } = parseBody(request, createModel);
      known({ session_id });
      checkServed(base_model);
      const options = toLoraOptions(lora_config, alpha);
      const model_id = `${session_id}:train:${model_seq_id}`;
      return { model_id, request_id: created.answer(model_id, request.body, () => models.create(model_id, options)) };
    },
    "POST get_info": (request) => {
      const { id, rank } = models.get(parseBody(request, z.object({ model_id: z.string() })).model_id);
      return {
        model_id: id,
        model_data: { model_name: name },
        model_name: name,
        is_lora: true,
        lora_rank: rank,
        type: "get_info",
      };
    },
    ...trainingRoutes({ engine, name, models, checkpoints, samplers }),
    "POST create_sampling_session": async (request) => {
      const { session_id, sampling_session_seq_id, base_model, model_path } = parseBody(request, createSamplingSession);
      known({ session_id });
      if (!base_model === !model_path) throw new HttpError(400, "give one of base_model and model_path");
      const saved = model_path ? await checkpoints.find(model_path) : undefined;
      checkServed(saved?.about.base_model ?? base_model ?? "");
      const sampler = await engine.sampler(saved?.folder);
      return {
        sampling_session_id: samplers.add(`${session_id}:sample:${sampling_session_seq_id}`, sampler),
        type: "create_sampling_session",
      };
    },
    "POST asample": (request) => samplers.submit(request),
    "POST retrieve_future": async (request) => {
      const { request_id } = parseBody(request, z.object({ request_id: z.string() }));
      const result = futures.get(request_id);
      if (!result) throw new HttpError(404, `there is no request ${request_id} here (any more)`);
      const outcome = await held(result, holdMs, closing.signal);
      if (closing.signal.aborted && !outcome) throw new HttpError(503, "the server is closing");
      return outcome ?? { type: "try_again", request_id, queue_state: "active" };
    },
  };

  const { server, url } = await listen(routes, where);
  return {
    url,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      closing.abort();
      await Promise.all([models.close(), samplers.close()]);
      await closed;
    },
  };
}

/** The result if it comes in time and before the end; undefined if not. */
function held<T>(result: Promise<T>, milliseconds: number, end: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve) => {
    const done = (outcome?: T) => {
      clearTimeout(timer);
      end.removeEventListener("abort", stop);
      resolve(outcome);
    };
    const stop = () => done();
    const timer = setTimeout(stop, milliseconds);
    if (end.aborted) stop();
    end.addEventListener("abort", stop);
    result.then(done);
  });
}
