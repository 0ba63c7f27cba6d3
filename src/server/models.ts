import { type Lock, serialize } from "../common/serial.ts";
import type { Engine, TrainingClient } from "../model/contract.ts";
import type { LoraOptions } from "../model/lora.ts";
import type { Futures, Result } from "./futures.ts";
import { HttpError } from "./http.ts";
import { Once, Sequence } from "./numbered.ts";

/** A model under training, and the order of the work on it. */
export interface Model {
  readonly id: string;
  /** Its LoRA rank, as it was asked for. */
  readonly rank: number;
  client: Promise<TrainingClient>;
  readonly lock: Lock;
  readonly sequence: Sequence;
  readonly once: Once<number>;
}

/** The models that clients train. Work on one model runs in the order of its numbers, one piece at a time. */
export class Models {
  readonly #engine: Engine;
  readonly #futures: Futures;
  readonly #models = new Map<string, Model>();
  #isClosed = false;

  constructor(engine: Engine, futures: Futures) {
    this.#engine = engine;
    this.#futures = futures;
  }

  /** Opens a model under `id`; gives the id of the promise. */
  create(id: string, options: LoraOptions & { readonly rank: number }): string {
    const client = this.#engine.trainingClient(options);
    const lock = serialize();
    const { rank } = options;
    this.#models.set(id, { id, rank, client, lock, sequence: new Sequence(lock), once: new Once() });
    return this.#futures.add(client.then(() => ({ model_id: id, type: "create_model" })));
  }

  get(id: string): Model {
    const model = this.#models.get(id);
    if (!model) throw new HttpError(404, `there is no model ${id} here: create one first`);
    return model;
  }

  /** Queues numbered work on a model; sent again, it is the same work. */
  submit(
    head: { model_id: string; seq_id: number },
    body: Uint8Array,
    work: (client: TrainingClient, model: Model) => Promise<Result>,
  ): Result {
    const model = this.get(head.model_id);
    const run = async () => {
      if (this.#isClosed) throw new Error("the server is closing");
      return work(await model.client, model);
    };
    const request_id = model.once.answer(head.seq_id, body, () =>
      this.#futures.add(model.sequence.run(head.seq_id, run)),
    );
    return { request_id, model_id: model.id };
  }

  /** Lets what is running end, and frees the models. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const free = async ({ lock, client }: Model) => {
      await lock(async () => undefined);
      await (await client.catch(() => undefined))?.close?.();
    };
    await Promise.all([...this.#models.values()].map(free));
  }
}
