import { serialize } from "../../common/serial.ts";
import type { Datum } from "../../data/datum.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { AddPart } from "../../loss/contract.ts";
import type { AdamParams, TrainingClient } from "../../model/contract.ts";
import { buildDecoder } from "../families/decoder.ts";
import { BackwardPass } from "./backward-pass.ts";
import type { BaseModel } from "./base-model.ts";
import { Optimizer, type Parameter } from "./optimizer.ts";
import { LocalSamplingClient, type Weights } from "./sampling-client.ts";

/** What training needs, whatever is trained. */
export interface Training {
  readonly model: BaseModel;
  readonly optimizer: Optimizer;
  /** The model as it is being trained. */
  readonly weights: Weights;
  readonly pass: BackwardPass;
}

/** Trains whatever its optimizer holds. */
export class LocalClient implements TrainingClient {
  readonly manyTargets = true;
  /** What is trained, by the names of the graph's inputs, with the gradients that have accumulated. */
  readonly parameters: ReadonlyMap<string, Parameter>;
  protected readonly model: BaseModel;
  protected readonly optimizer: Optimizer;
  protected readonly weights: Weights;
  /** One call at a time: a pass over data owns the memory of the programs, and an update waits for the passes before it. */
  protected readonly serialize = serialize();
  readonly #pass: BackwardPass;

  constructor({ model, optimizer, weights, pass }: Training) {
    this.parameters = optimizer.parameters;
    this.model = model;
    this.optimizer = optimizer;
    this.weights = weights;
    this.#pass = pass;
  }

  /** A client that trains every weight of the model, in place. */
  static async ofAllWeights(model: BaseModel): Promise<LocalClient> {
    const optimizer = new Optimizer(model.weights, { keepsPrevious: false });
    const weights = { lora: null, feeds: model.feeds };
    const pass = await BackwardPass.open(model, optimizer, weights.feeds, buildDecoder(model.config, null), "weights");
    return new LocalClient({ model, optimizer, weights, pass });
  }

  forward(data: readonly Datum[]): Promise<readonly Tensor[]> {
    return this.sampler("current").targets(data);
  }

  forwardBackward(data: readonly Datum[], add: AddPart): Promise<void> {
    return this.serialize(() => this.#pass.run(data, add, "targets"));
  }

  readonly vocabulary = {
    forwardBackward: (data: readonly Datum[], add: AddPart): Promise<void> =>
      this.serialize(() => this.#pass.run(data, add, "vocabulary")),
  };

  optimStep(params: AdamParams): Promise<{ readonly grad_norm: number }> {
    return this.exclusively(() => ({ grad_norm: this.optimizer.update(params) }));
  }

  readonly state = {
    /** `weight.…`, `mean.…` and `variance.…` of each trained tensor, and `steps`. */
    read: (): Promise<ReadonlyMap<string, Tensor>> => this.serialize(async () => this.optimizer.read()),
    /** @throws UserError for the state of other tensors; nothing has changed then. */
    write: (tensors: ReadonlyMap<string, Tensor>): Promise<void> =>
      this.exclusively(() => {
        this.optimizer.write(tensors);
        this.#pass.restart();
      }),
  };

  sampler(weights: "current" | "base"): LocalSamplingClient {
    return new LocalSamplingClient(
      this.model,
      weights === "current" ? this.weights : { lora: null, feeds: this.model.feeds },
    );
  }

  /** Frees the programs. */
  close(): Promise<void> {
    return this.#pass.close();
  }

  /** Changes weights after the calls before it, and while no sampler looks through them. */
  protected exclusively<T>(change: () => T): Promise<T> {
    return this.serialize(() => this.model.lock(async () => change()));
  }
}
