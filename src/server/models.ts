import { type InTurn, inTurn } from "../common/serial.ts";
import type { ServedClient, ServedEngine, TrainingOptions } from "./engine.ts";
import type { Futures, Result } from "./futures.ts";
import { HttpError } from "./http.ts";
import { Once, Sequence } from "./numbered.ts";

/** A model under training, and the order of the work on it. */
export interface Model {
  readonly id: string;
  readonly options: TrainingOptions;
  client: Promise<ServedClient>;
  readonly alone: InTurn;
  readonly sequence: Sequence;
  readonly once: Once<number>;
}

/** The models that clients train. Work on one model runs in the order of its numbers, one piece at a time. */
export class Models {
  readonly #engine: ServedEngine;
  readonly #futures: Futures;
  readonly #models = new Map<string, Model>();
  #isClosed = false;

  constructor(engine: ServedEngine, futures: Futures) {
    this.#engine = engine;
    this.#futures = futures;
  }

  /** Opens a model under `id`; gives the id of the promise. */
  create(id: string, options: TrainingOptions): string {
    const client = this.#engine.createTrainingClient(options);
    const alone = inTurn();
    this.#models.set(id, { id, options, client, alone, sequence: new Sequence(alone), once: new Once() });
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
    work: (client: ServedClient, model: Model) => Promise<Result>,
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
    const free = async ({ alone, client }: Model) => {
      await alone(async () => undefined);
      await (await client.catch(() => undefined))?.close?.();
    };
    await Promise.all([...this.#models.values()].map(free));
  }
}
