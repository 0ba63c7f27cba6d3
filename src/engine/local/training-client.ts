import { UserError } from "../../common/errors.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { Measured } from "../../loss/contract.ts";
import type { AdapterMatrices, MatrixMeasured, TrainingClient } from "../../model/contract.ts";
import type { LoraSettings } from "../../model/lora.ts";
import type { Adapter } from "../families/adapter.ts";
import { buildDecoder } from "../families/decoder.ts";
import { toLora } from "../families/lora.ts";
import { BackwardPass } from "./backward-pass.ts";
import type { BaseModel } from "./base-model.ts";
import { LocalClient, type Training } from "./client.ts";
import { Dropout } from "./dropout.ts";
import { writeAdapter } from "./files/adapter.ts";
import { readState, writeState } from "./files/state.ts";
import { Optimizer } from "./optimizer.ts";
import { LocalSnapshot } from "./snapshot.ts";

/** Trains the matrices of a LoRA adapter, by their names in PEFT's layout. */
export class LocalTrainingClient extends LocalClient implements TrainingClient {
  readonly lora: LoraSettings;
  readonly #adapter: Adapter;

  private constructor(training: Training, adapter: Adapter) {
    super(training);
    const { matrices, ...lora } = adapter;
    this.lora = lora;
    this.#adapter = adapter;
  }

  /** @param adapter is trained in place. @param seed of dropout's masks. */
  static async open(model: BaseModel, adapter: Adapter, seed: number): Promise<LocalTrainingClient> {
    const lora = toLora(model.config, adapter);
    const optimizer = new Optimizer(adapter.matrices, { keepsPrevious: true });
    const weights = { lora, feeds: model.feed(adapter.matrices) };
    const share = adapter.dropout ?? 0;
    const decoder = buildDecoder(model.config, lora, { drops: share > 0 });
    const dropout = share > 0 ? new Dropout(share, seed, decoder.dropout) : undefined;
    const pass = await BackwardPass.open(model, optimizer, weights.feeds, decoder, "adapter", dropout);
    return new LocalTrainingClient({ model, optimizer, weights, pass }, adapter);
  }

  readonly matrices = {
    /** @throws UserError for a gradient that is not shaped like the adapter's matrices. */
    backward: (loss: (matrices: AdapterMatrices) => MatrixMeasured): Promise<Measured> =>
      this.serialize(async () => {
        const { gradient, ...measured } = loss(this.#adapter.matrices);
        for (const [name, { data }] of gradient) this.#checkSize(name, data.length);
        for (const [name, { data }] of gradient) this.optimizer.add(name, data);
        return measured;
      }),
  };

  revert(): Promise<void> {
    return this.exclusively(() => this.optimizer.revert());
  }

  readonly snapshots = {
    take: (): LocalSnapshot => this.snapshots.restore(this.parameters),
    /** @throws UserError for tensors that are not shaped like the adapter's matrices. */
    restore: (tensors: ReadonlyMap<string, Tensor>): LocalSnapshot =>
      LocalSnapshot.of(this.model, this.weights.lora, this.parameters, tensors),
  };

  readonly folders = {
    saveAdapter: (folder: string): Promise<void> =>
      this.serialize(() => writeAdapter(folder, this.#adapter, this.model)),
    saveState: (folder: string): Promise<void> =>
      this.serialize(async () => {
        await writeAdapter(folder, this.#adapter, this.model);
        await writeState(folder, this.parameters, this.optimizer.steps);
      }),
    /** @throws UserError for a folder that is damaged or was saved with other settings; nothing has changed then. */
    loadState: (folder: string): Promise<void> =>
      this.serialize(async () => {
        const state = await readState(folder, this.model.config, this.lora, this.parameters);
        await this.model.lock(async () => this.optimizer.write(state));
      }),
  };

  #checkSize(name: string, found: number): void {
    const expected = this.parameters.get(name)?.data.length;
    if (found === expected) return;
    throw new UserError(
      `the loss returned ${found} numbers as the gradient of ${name}, ${expected === undefined ? "which is not one of the adapter's matrices" : `expected ${expected}: one for each of its entries`}.`,
    );
  }
}
