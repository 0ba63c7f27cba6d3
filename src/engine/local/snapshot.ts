import { UserError } from "../../common/errors.ts";
import { formatShape, sameShape, type Tensor } from "../../divergence/tensor.ts";
import type { Snapshot } from "../../model/contract.ts";
import type { Lora } from "../families/lora.ts";
import type { BaseModel } from "./base-model.ts";
import { LocalSamplingClient, type Weights } from "./sampling-client.ts";

/** The model with an adapter's matrices of one moment. */
export class LocalSnapshot extends LocalSamplingClient implements Snapshot {
  readonly tensors: ReadonlyMap<string, Tensor>;

  private constructor(model: BaseModel, weights: Weights, tensors: ReadonlyMap<string, Tensor>) {
    super(model, weights);
    this.tensors = tensors;
  }

  /**
   * Copies the tensors.
   *
   * @throws UserError for tensors that have not the names and shapes of `like`.
   */
  static of(
    model: BaseModel,
    lora: Lora | null,
    like: ReadonlyMap<string, Tensor>,
    tensors: ReadonlyMap<string, Tensor>,
  ): LocalSnapshot {
    const copies = new Map<string, Tensor>();
    for (const [name, { shape }] of like) {
      const found = tensors.get(name);
      if (!found || !sameShape(found.shape, shape)) {
        throw new UserError(
          `the snapshot holds ${found ? formatShape(found.shape) : "nothing"} as ${name}, expected ${formatShape(shape)}; give the tensors of a snapshot of the same model and LoRA settings.`,
        );
      }
      copies.set(name, { data: found.data.slice(), shape });
    }
    return new LocalSnapshot(model, { lora, feeds: model.feed(copies) }, copies);
  }
}
