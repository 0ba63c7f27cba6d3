import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSafetensors, writeSafetensors } from "../../../src/data/safetensors.ts";
import type { LocalTrainingClient } from "../../../src/engine/local/training-client.ts";
import type { AdamParams } from "../../../src/model/contract.ts";
import type { LoraOptions } from "../../../src/model/lora.ts";
import { complaint, temporaryFolder } from "../../data/folders.ts";
import { addLikelihood, gradientOf, norm, randomData, tinyModel, worstDifference } from "./models.ts";

const ADAM: AdamParams = {
  learning_rate: 0.01,
  beta1: 0.9,
  beta2: 0.99,
  eps: 1e-8,
  weight_decay: 0,
  grad_clip_norm: 0,
};
const DATA = randomData([5, 9, 7], 12);

const weightsOf = ({ parameters }: LocalTrainingClient) =>
  Float64Array.from([...parameters.values()].flatMap(({ data }) => [...data]));

/** AdamW as its paper writes it, in float64: m̂ and v̂ apart, decay decoupled, clipping by the global norm first. */
class PlainAdamW {
  readonly weights: Float64Array;
  readonly #m: Float64Array;
  readonly #v: Float64Array;
  #t = 0;

  constructor(weights: Float64Array) {
    this.weights = weights;
    this.#m = new Float64Array(weights.length);
    this.#v = new Float64Array(weights.length);
  }

  step(gradient: Float64Array, { learning_rate, beta1, beta2, eps, weight_decay, grad_clip_norm }: AdamParams): void {
    this.#t++;
    const length = norm(gradient);
    const clip = grad_clip_norm > 0 && length > grad_clip_norm ? grad_clip_norm / length : 1;
    for (const [i, raw] of gradient.entries()) {
      const g = raw * clip;
      this.#m[i] = beta1 * this.#m[i]! + (1 - beta1) * g;
      this.#v[i] = beta2 * this.#v[i]! + (1 - beta2) * g ** 2;
      const mHat = this.#m[i]! / (1 - beta1 ** this.#t);
      const vHat = this.#v[i]! / (1 - beta2 ** this.#t);
      this.weights[i]! -= learning_rate * (mHat / (Math.sqrt(vHat) + eps) + weight_decay * this.weights[i]!);
    }
  }
}

describe("optimStep", () => {
  it.each<[string, Partial<AdamParams>]>([
    ["plain", {}],
    ["with weight decay", { weight_decay: 0.3 }],
    ["with clipping that bites", { grad_clip_norm: 0.5 }],
    ["with clipping that does not", { grad_clip_norm: 1e6 }],
    ["with everything, and a large eps", { weight_decay: 0.1, grad_clip_norm: 2, eps: 1e-2, beta1: 0.5, beta2: 0.9 }],
  ])("is AdamW %s, at changing learning rates", async (_, changes) => {
    const model = await tinyModel();
    const client = await model.trainingClient({ rank: 2 });
    const plain = new PlainAdamW(weightsOf(client));
    for (let step = 0; step < 8; step++) {
      await addLikelihood(client, DATA);
      const params = { ...ADAM, ...changes, learning_rate: 0.01 * (1 + (step % 3)) };
      const gradient = gradientOf(client);
      plain.step(gradient, params);
      const { grad_norm } = await client.optimStep(params);
      // Before clipping.
      expect(grad_norm / norm(gradient)).toBeCloseTo(1, 9);
      expect(norm(gradientOf(client))).toBe(0);
      expect(worstDifference(weightsOf(client), plain.weights)).toBeLessThan(1e-6);
    }
    await client.close();
    await model.close();
  });

  it("clips to exactly the norm asked for: a step of twice the limit is a step of half the gradient", async () => {
    const model = await tinyModel();
    const [clipped, halved] = [await model.trainingClient(), await model.trainingClient()];
    for (const client of [clipped, halved]) await addLikelihood(client, DATA);
    const length = norm(gradientOf(clipped));
    for (const { gradient } of halved.parameters.values()) for (let i = 0; i < gradient.length; i++) gradient[i]! /= 2;
    // An eps this large makes AdamW feel the gradient's size.
    await clipped.optimStep({ ...ADAM, eps: 1, grad_clip_norm: length / 2 });
    await halved.optimStep({ ...ADAM, eps: 1 });
    expect(worstDifference(weightsOf(clipped), weightsOf(halved))).toBeLessThan(1e-8);
    for (const client of [clipped, halved]) await client.close();
    await model.close();
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "leaves everything as it is when a gradient is %s, and goes on from there",
    async (bad) => {
      const model = await tinyModel();
      const [client, witness] = [await model.trainingClient(), await model.trainingClient()];
      for (const each of [client, witness]) {
        await addLikelihood(each, DATA);
        await each.optimStep(ADAM);
      }
      const before = weightsOf(client);
      await addLikelihood(client, DATA);
      [...client.parameters.values()][3]!.gradient[1] = bad;
      const { grad_norm } = await client.optimStep(ADAM);
      expect(Number.isFinite(grad_norm)).toBe(false);
      expect(weightsOf(client)).toEqual(before);
      for (const each of [client, witness]) {
        await addLikelihood(each, DATA);
        await each.optimStep(ADAM);
      }
      expect(weightsOf(client)).toEqual(weightsOf(witness));
      for (const each of [client, witness]) await each.close();
      await model.close();
    },
  );

  it("with no gradient moves nothing", async () => {
    const model = await tinyModel();
    const client = await model.trainingClient();
    const before = weightsOf(client);
    expect(await client.optimStep(ADAM)).toEqual({ grad_norm: 0 });
    expect(weightsOf(client)).toEqual(before);
    await client.close();
    await model.close();
  });
});

describe("a state in a folder", () => {
  const SETTINGS: LoraOptions = { rank: 2, alpha: 8, seed: 3 };

  async function train(client: LocalTrainingClient, steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      await addLikelihood(client, DATA);
      await client.optimStep({ ...ADAM, weight_decay: 0.1, grad_clip_norm: 1 });
    }
  }

  async function saved() {
    const model = await tinyModel();
    const client = await model.trainingClient(SETTINGS);
    await train(client, 3);
    const folder = join(temporaryFolder(), "state");
    await client.folders.saveState(folder);
    return { model, client, folder };
  }

  it("interrupted and resumed is uninterrupted, bit for bit", async () => {
    const { model, client, folder } = await saved();
    expect(readdirSync(folder).sort()).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "optimizer.safetensors",
    ]);
    await train(client, 4);
    // A client of another start, in the middle of something.
    const resumed = await model.trainingClient({ ...SETTINGS, seed: 99 });
    await train(resumed, 2);
    await addLikelihood(resumed, DATA);
    await resumed.folders.loadState(folder);
    await train(resumed, 4);
    expect(weightsOf(resumed)).toEqual(weightsOf(client));
    // The moments matter: with the adapter alone it is another run.
    const forgetful = await model.trainingClient({ adapter: folder });
    await train(forgetful, 4);
    expect(worstDifference(weightsOf(forgetful), weightsOf(client))).toBeGreaterThan(1e-4);
    for (const each of [client, resumed, forgetful]) await each.close();
    await model.close();
  });

  it("is that of the moment it was asked for, whatever is asked next", async () => {
    const { model, client, folder } = await saved();
    const expected = weightsOf(client);
    const again = join(temporaryFolder(), "again");
    await addLikelihood(client, DATA);
    await Promise.all([client.folders.saveState(again), client.optimStep(ADAM)]);
    expect(weightsOf(client)).not.toEqual(expected);
    await client.folders.loadState(again);
    expect(weightsOf(client)).toEqual(expected);
    const [one, other] = await Promise.all(
      [folder, again].map((each) => openSafetensors(join(each, "optimizer.safetensors"))),
    );
    expect(one!.metadata).toEqual({ steps: "3" });
    expect(other!.metadata).toEqual({ steps: "3" });
    for (const name of one!.shapes.keys()) expect(await other!.read(name)).toEqual(await one!.read(name));
    for (const file of [one, other]) await file!.close();
    await client.close();
    await model.close();
  });

  it("of other settings is refused with both, and nothing changes", async () => {
    const { model, client, folder } = await saved();
    await client.close();
    const all = "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj";
    for (const [changes, here] of [
      [{ rank: 3 }, `rank 3, alpha 8 on ${all}`],
      [{ alpha: 16 }, `rank 2, alpha 16 on ${all}`],
      [{ use_rslora: true }, `rank 2, alpha 8 (rslora) on ${all}`],
      [{ target_modules: ["q_proj", "up_proj"] as const }, "rank 2, alpha 8 on q_proj, up_proj"],
    ] as const) {
      const other = await model.trainingClient({ ...SETTINGS, ...changes });
      const before = weightsOf(other);
      expect(await complaint(() => other.folders.loadState(folder))).toBe(
        `${folder} was saved by training rank 2, alpha 8 on ${all}, here it is ${here}; load it with the settings it was saved with.`,
      );
      expect(weightsOf(other)).toEqual(before);
      await other.close();
    }
    await model.close();
  });

  it("that is incomplete is refused, and nothing changes", async () => {
    const { model, client, folder } = await saved();
    const before = weightsOf(client);
    const path = join(folder, "optimizer.safetensors");
    const file = await openSafetensors(path);
    const tensors = new Map(
      await Promise.all([...file.shapes.keys()].map(async (name) => [name, await file.read(name)] as const)),
    );
    await file.close();
    const last = [...tensors.keys()].at(-1)!;
    const damages: [string, () => Promise<void>, RegExp][] = [
      ["no steps", () => writeSafetensors(path, tensors), /does not say after how many steps it was saved/],
      [
        "a moment missing",
        () => writeSafetensors(path, new Map([...tensors].filter(([name]) => name !== last)), STEPS),
        /holds nothing as the variance of .*down_proj.lora_B.weight, expected \[8, 2\]/,
      ],
      [
        "another shape",
        () => writeSafetensors(path, new Map([...tensors, [last, { data: new Float32Array(4), shape: [4] }]]), STEPS),
        /holds \[4\] as the variance of .*down_proj.lora_B.weight, expected \[8, 2\]/,
      ],
    ];
    await train(client, 1);
    const after = weightsOf(client);
    expect(after).not.toEqual(before);
    for (const [what, damage, expected] of damages) {
      await damage();
      expect(await complaint(() => client.folders.loadState(folder)), what).toMatch(expected);
      expect(weightsOf(client), what).toEqual(after);
    }
    const bare = temporaryFolder();
    cpSync(join(folder, "adapter_config.json"), join(bare, "adapter_config.json"));
    cpSync(join(folder, "adapter_model.safetensors"), join(bare, "adapter_model.safetensors"));
    expect(await complaint(() => client.folders.loadState(bare), bare)).toMatch(
      /^cannot read optimizer\.safetensors: there is no such file/,
    );
    expect(weightsOf(client)).toEqual(after);
    await client.close();
    await model.close();
  });
});

const STEPS = { metadata: { steps: "3" } };
