import { UserError } from "../common/errors.ts";
import { fromWire } from "../engine/tinker/rows.ts";
import {
  decodeForwardBackwardRequest,
  encodeForwardBackwardOutput,
  peekForwardBackwardRequest,
} from "../engine/tinker/wire/forward-backward.ts";
import type { Engine, TrainingClient } from "../model/contract.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { Result } from "./futures.ts";
import { HttpError, type HttpRequest, type Routes } from "./http.ts";
import { backwardLikelihood, forwardLikelihood } from "./likelihood.ts";
import type { Model, Models } from "./models.ts";
import { loadWeights, optimStep, parseBody, saveForSampler, saveWeights, sequenced } from "./requests.ts";
import type { Samplers } from "./samplers.ts";

export interface TrainingParts {
  readonly engine: Engine;
  /** What clients call the base model. */
  readonly name: string;
  readonly models: Models;
  readonly checkpoints: Checkpoints;
  readonly samplers: Samplers;
}

/**
 * The numbered operations on a model. A request is queued before its content is checked: a number that was refused would
 * leave all later ones waiting.
 */
export function trainingRoutes({ engine, name, models, checkpoints, samplers }: TrainingParts): Routes {
  const queued =
    (work: (request: HttpRequest, client: TrainingClient, model: Model) => Promise<Result>) => (request: HttpRequest) =>
      models.submit(parseBody(request, sequenced), request.body, (client, model) => work(request, client, model));
  const about = (client: TrainingClient, { rank }: Model) => ({
    base_model: name,
    lora_rank: client.lora?.rank ?? rank,
  });

  return {
    "POST forward_backward": ({ body, headers }) => {
      if (!headers["content-type"]?.includes("protobuf"))
        throw new HttpError(415, "send forward_backward as application/x-protobuf");
      return models.submit(peekForwardBackwardRequest(body), body, (client) => forwardBackward(client, body));
    },
    "POST optim_step": queued(async (request, client) => {
      const { grad_norm } = await client.optimStep(parseBody(request, optimStep).adam_params);
      if (grad_norm !== null && !Number.isFinite(grad_norm)) {
        throw new UserError(`the gradients' norm is ${grad_norm}, nothing was updated; send finite weights.`);
      }
      return { metrics: grad_norm === null ? {} : { grad_norm } };
    }),
    "POST save_weights": queued(async (request, client, model) => {
      const { path: as, overwrite } = parseBody(request, saveWeights);
      const folders = foldersOf(client);
      const path = await checkpoints.save(model.id, "weights", as, overwrite, about(client, model), (folder) =>
        folders.saveState(folder),
      );
      return { path, type: "save_weights" };
    }),
    "POST load_weights": queued(async (request, client, model) => {
      const { path, optimizer } = parseBody(request, loadWeights);
      const { folder } = await checkpoints.find(path);
      if (optimizer) await foldersOf(client).loadState(folder);
      else {
        // Weights without the optimizer's memory of them: a new client that starts there.
        model.client = Promise.resolve(await engine.trainingClient({ adapter: folder }));
        await client.close?.();
      }
      return { path, model_id: model.id, type: "load_weights" };
    }),
    "POST save_weights_for_sampler": queued(async (request, client, model) => {
      const { path: as } = parseBody(request, saveForSampler);
      const type = "save_weights_for_sampler";
      if (as) {
        const folders = foldersOf(client);
        const path = await checkpoints.save(model.id, "sampler_weights", as, true, about(client, model), (folder) =>
          folders.saveAdapter(folder),
        );
        return { path, type };
      }
      if (!client.snapshots) throw new UserError("this server takes no snapshots: give a path to save weights under");
      return { sampling_session_id: samplers.addSnapshot(model.id, client.snapshots.take()), type };
    }),
  };
}

function foldersOf({ folders }: TrainingClient): NonNullable<TrainingClient["folders"]> {
  if (!folders) throw new UserError("the engine behind this server saves no checkpoints");
  return folders;
}

async function forwardBackward(client: TrainingClient, body: Uint8Array): Promise<Uint8Array> {
  const { data, loss_fn, forward_only, seq_id } = decodeForwardBackwardRequest(body);
  if (loss_fn !== "cross_entropy") {
    throw new UserError(
      `the loss ${JSON.stringify(loss_fn)} is not known here, expected "cross_entropy": other losses go through it with weights −∂loss/∂logprob`,
    );
  }
  const datums = data.map((datum, i) => fromWire(datum, `datum ${i} of request ${seq_id}`));
  const { loss, logprobs } = await (forward_only ? forwardLikelihood : backwardLikelihood)(client, datums);
  const outputs = logprobs.map((tensor, i) => ({
    logprobs: { data: tensor, shape: data[i]!.lossInputs.target_tokens!.shape },
  }));
  return encodeForwardBackwardOutput({ outputs, metrics: { "loss:sum": loss } });
}
