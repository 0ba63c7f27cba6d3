import { expect, it } from "vitest";
import { tensor } from "../../../src/divergence/tensor.ts";
import { composeAdapter, l2, orthogonality } from "../../../src/regularizer/index.ts";
import { complaint } from "../../data/folders.ts";
import { openFixture } from "./fixture.ts";
import { clearGradient, gradientError, gradientOf, norm, randomData, relativeDistance, tinyModel } from "./models.ts";

/** @file A loss of the adapter's own matrices: it adds to the gradients of the losses on text. */

const DATA = randomData([6, 3], 320);

const { client } = await openFixture();

it("sees every matrix by its name in PEFT's layout, and returns what the loss returns but its gradient", async () => {
  const seen: string[] = [];
  const output = await client.backwardAdapter((matrices) => {
    for (const [name, { data, shape }] of matrices) {
      seen.push(name);
      expect(data).toEqual(client.parameters.get(name)!.data);
      expect(shape).toEqual(client.parameters.get(name)!.shape);
    }
    return { loss: 3, gradient: new Map(), metrics: { own: 1 } };
  });
  expect(output).toEqual({ loss: 3, metrics: { own: 1 } });
  expect(seen).toEqual([...client.parameters.keys()]);
  expect(seen[0]).toMatch(/^base_model\.model\.model\.layers\.0\.self_attn\.q_proj\.lora_[AB]\.weight$/);
});

it("adds its gradient, that of finite differences, to what has accumulated", async () => {
  const penalty = composeAdapter([
    { penalty: l2(), weight: 0.3 },
    { penalty: orthogonality(), weight: 2 },
  ]);
  clearGradient(client);
  await client.forwardBackward(DATA);
  const before = gradientOf(client);
  clearGradient(client);
  const { loss } = await client.backwardAdapter(penalty.compute);
  const alone = gradientOf(client);
  expect(norm(alone)).toBeGreaterThan(0.1);
  const value = async () =>
    (await client.backwardAdapter((matrices) => ({ ...penalty.compute(matrices), gradient: new Map() }))).loss;
  expect(await value()).toBe(loss);
  for (const [name, { data, gradient }] of [...client.parameters].slice(0, 4))
    expect(await gradientError(data, gradient.slice(), 0.01 * norm(data), value), name).toBeLessThan(1e-3);

  clearGradient(client);
  await Promise.all([client.forwardBackward(DATA), client.backwardAdapter(penalty.compute)]);
  expect(
    relativeDistance(
      gradientOf(client),
      before.map((g, i) => g + alone[i]!),
    ),
  ).toBeLessThan(1e-6);
});

it("a gradient that does not fit is refused, naming the matrix", async () => {
  const [name, { data }] = [...client.parameters][0]!;
  const returning = (to: string, size: number) => () =>
    client.backwardAdapter(() => ({
      loss: 0,
      gradient: new Map([[to, tensor(new Float32Array(size), [size])]]),
      metrics: {},
    }));
  expect(await complaint(returning(name, 3))).toBe(
    `the loss returned 3 numbers as the gradient of ${name}, expected ${data.length}: one for each of its entries.`,
  );
  expect(await complaint(returning("lm_head.weight", 3))).toBe(
    "the loss returned 3 numbers as the gradient of lm_head.weight, which is none of the adapter's matrices.",
  );
});

it("without an adapter there is nothing to penalize", async () => {
  const tiny = tinyModel();
  const all = await tiny.pretrainingClient();
  expect(await complaint(() => all.backwardAdapter(l2().compute))).toBe(
    "every weight of the model is being trained, there is no adapter.",
  );
  await all.close();
  await tiny.close();
});
