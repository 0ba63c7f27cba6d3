import { describe, expect, it } from "vitest";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import type { LocalTrainingClient } from "../../../src/engine/local/training-client.ts";
import type { AdamParams } from "../../../src/model/contract.ts";
import type { LoraOptions } from "../../../src/model/lora.ts";
import { complaint } from "../../data/folders.ts";
import { addLikelihood, gradientOf, norm, randomData, tinyModel } from "./models.ts";

/** @file State, reverting and snapshots: copies of a client's weights at a moment. */

const ADAM: AdamParams = {
  learning_rate: 0.02,
  beta1: 0.9,
  beta2: 0.99,
  eps: 1e-8,
  weight_decay: 0.1,
  grad_clip_norm: 1,
};
const LORA: LoraOptions = { rank: 2, alpha: 8, seed: 3 };
const STEPS = 20;
/** A batch for each step. */
const BATCHES = Array.from({ length: STEPS }, (_, step) => randomData([5, 9, 7], 12, step + 1));

const weightsOf = ({ parameters }: LocalTrainingClient) =>
  Float32Array.from([...parameters.values()].flatMap(({ data }) => [...data]));

async function train(client: LocalTrainingClient, from: number, to: number): Promise<number[]> {
  const norms: number[] = [];
  for (let step = from; step < to; step++) {
    await addLikelihood(client, BATCHES[step]!);
    norms.push((await client.optimStep(ADAM)).grad_norm);
  }
  return norms;
}

/** What a file would hold of tensors, in memory of its own. */
const stored = (tensors: ReadonlyMap<string, Tensor>) => structuredClone(tensors);

describe.each([1, 2])("a state, with %d threads", (threads) => {
  it("read after any of 20 updates and written to a fresh client goes on bit for bit", async () => {
    const model = await tinyModel({}, { threads });
    const client = await model.trainingClient(LORA);
    const states: ReadonlyMap<string, Tensor>[] = [stored(await client.state.read())];
    const norms: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      norms.push(...(await train(client, step, step + 1)));
      states.push(stored(await client.state.read()));
    }
    expect(states.map((state) => state.get("steps")!.data[0])).toEqual(Array.from({ length: STEPS + 1 }, (_, n) => n));
    const expected = weightsOf(client);
    const end = await client.state.read();
    for (const [step, state] of states.entries()) {
      // Another start, in the middle of something.
      const resumed = await model.trainingClient({ ...LORA, seed: 99 });
      await train(resumed, 0, 2);
      await addLikelihood(resumed, BATCHES[3]!);
      await resumed.state.write(state);
      expect(await train(resumed, step, STEPS), `after step ${step}`).toEqual(norms.slice(step));
      expect(weightsOf(resumed)).toEqual(expected);
      expect(await resumed.state.read()).toEqual(end);
      await resumed.close();
    }
    // The moments matter: with the weights alone it is another run.
    const forgetful = await model.trainingClient(LORA);
    const fresh = await forgetful.state.read();
    const half = [...states[10]!].map(([name, tensor]) => [
      name,
      name.startsWith("weight.") ? tensor : fresh.get(name)!,
    ]);
    await forgetful.state.write(new Map(half as [string, Tensor][]));
    await train(forgetful, 10, STEPS);
    expect(weightsOf(forgetful)).not.toEqual(expected);
    for (const each of [forgetful, client, model]) await each.close();
  });
});

describe("a state", () => {
  it("is a copy of the moment it was asked for, whatever is asked next", async () => {
    const model = await tinyModel();
    const client = await model.trainingClient(LORA);
    await train(client, 0, 2);
    const before = weightsOf(client);
    await addLikelihood(client, BATCHES[2]!);
    const [state] = await Promise.all([client.state.read(), client.optimStep(ADAM)]);
    const copy = stored(state);
    expect(weightsOf(client)).not.toEqual(before);
    await train(client, 3, 5);
    expect(state).toEqual(copy);
    await client.state.write(state);
    expect(weightsOf(client)).toEqual(before);
    for (const each of [client, model]) await each.close();
  });

  it("of other matrices is refused, and nothing changes", async () => {
    const model = await tinyModel();
    const [client, other] = [await model.trainingClient(LORA), await model.trainingClient({ ...LORA, rank: 3 })];
    for (const each of [client, other]) await train(each, 0, 1);
    const before = await client.state.read();
    const name = [...client.parameters.keys()][0]!;
    const foreign = await other.state.read();
    expect(await complaint(() => client.state.write(foreign))).toBe(
      `the state holds [3, 8] as weight.${name}, expected [2, 8]; give a state that was read from a client of the same model and LoRA settings.`,
    );
    const last = [...before.keys()].at(-1)!;
    const lacking = new Map([...before].filter(([key]) => key !== last));
    expect(await complaint(() => client.state.write(lacking))).toContain(
      `the state holds nothing as ${last}, expected`,
    );
    expect(await client.state.read()).toEqual(before);
    for (const each of [client, other, model]) await each.close();
  });

  it("of every weight of a model goes on as well", async () => {
    const [one, two] = [await tinyModel({ tied: true }), await tinyModel({ tied: true })];
    const [client, resumed] = [await one.pretrainingClient(), await two.pretrainingClient()];
    const step = async (on: typeof client, n: number) => {
      await addLikelihood(on, BATCHES[n]!);
      return on.optimStep(ADAM);
    };
    await step(client, 0);
    await resumed.state.write(await client.state.read());
    expect(await step(resumed, 1)).toEqual(await step(client, 1));
    expect(await resumed.state.read()).toEqual(await client.state.read());
    for (const each of [client, resumed, one, two]) await each.close();
  });
});

describe("revert", () => {
  it("gives the weights what they were before the last update, and nothing else", async () => {
    const model = await tinyModel();
    const client = await model.trainingClient(LORA);
    const start = weightsOf(client);
    await client.revert();
    expect(weightsOf(client)).toEqual(start);
    await train(client, 0, 3);
    const before = weightsOf(client);
    await train(client, 3, 4);
    const after = await client.state.read();
    await client.revert();
    expect(weightsOf(client)).toEqual(before);
    const reverted = await client.state.read();
    for (const [name, tensor] of after) {
      if (!name.startsWith("weight.")) expect(reverted.get(name), name).toEqual(tensor);
    }
    await client.revert();
    expect(weightsOf(client)).toEqual(before);
    for (const each of [client, model]) await each.close();
  });

  it("counts no update that did not happen, and begins anew with a state that was written", async () => {
    const model = await tinyModel();
    const client = await model.trainingClient(LORA);
    await train(client, 0, 1);
    const before = weightsOf(client);
    await train(client, 1, 2);
    const state = await client.state.read();
    [...client.parameters.values()][0]!.gradient[0] = Number.NaN;
    expect((await client.optimStep(ADAM)).grad_norm).toBeNaN();
    await client.revert();
    expect(weightsOf(client)).toEqual(before);
    await client.state.write(state);
    const written = weightsOf(client);
    await client.revert();
    expect(weightsOf(client)).toEqual(written);
    for (const each of [client, model]) await each.close();
  });
});

describe("snapshots", () => {
  const text = randomData([6], 12, 50);

  it("stay as they are while training goes on, and are restored from their tensors", async () => {
    const model = await tinyModel();
    const client = await model.trainingClient(LORA);
    await train(client, 0, 2);
    const expected = await client.sampler("current").distributions(text);
    const snapshot = client.snapshots.take();
    const tensors = stored(snapshot.tensors);
    await train(client, 2, 5);
    expect(await client.sampler("current").distributions(text)).not.toEqual(expected);
    expect(await snapshot.distributions!(text)).toEqual(expected);
    expect(snapshot.tensors).toEqual(tensors);

    const other = await model.trainingClient({ ...LORA, seed: 77 });
    const restored = other.snapshots.restore(tensors);
    expect(await restored.distributions!(text)).toEqual(expected);
    const params = { max_tokens: 6, seed: 4 };
    expect(await restored.sample([[1, 2]], params)).toEqual(await snapshot.sample([[1, 2]], params));
    // In memory of its own: what the tensors become does not matter.
    for (const { data } of tensors.values()) data.fill(0);
    expect(await restored.distributions!(text)).toEqual(expected);
    for (const each of [client, other, model]) await each.close();
  });

  it("take nothing from the gradients, and other matrices' tensors are refused", async () => {
    const model = await tinyModel();
    const [client, other] = [await model.trainingClient(LORA), await model.trainingClient({ ...LORA, rank: 3 })];
    await addLikelihood(client, BATCHES[0]!);
    const gradient = gradientOf(client);
    expect(norm(gradient)).toBeGreaterThan(0);
    client.snapshots.take();
    expect(gradientOf(client)).toEqual(gradient);
    const name = [...client.parameters.keys()][0]!;
    expect(await complaint(() => other.snapshots.restore(client.snapshots.take().tensors))).toBe(
      `the snapshot holds [2, 8] as ${name}, expected [3, 8]; give the tensors of a snapshot of the same model and LoRA settings.`,
    );
    for (const each of [client, other, model]) await each.close();
  });
});
