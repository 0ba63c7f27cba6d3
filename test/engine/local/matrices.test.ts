import { expect, it } from "vitest";
import { tensor } from "../../../src/divergence/tensor.ts";
import type { AdapterMatrices, MatrixMeasured } from "../../../src/model/contract.ts";
import { complaint } from "../../data/folders.ts";
import { openFixture } from "./fixture.ts";
import {
  addLikelihood,
  clearGradient,
  gradientError,
  gradientOf,
  norm,
  randomData,
  relativeDistance,
  tinyModel,
} from "./models.ts";

/** @file A loss of the adapter's own matrices: it adds to the gradients of the losses on text. */

const DATA = randomData([6, 3], 320);

const { client } = await openFixture();

/** Σ x⁴ of all entries. */
function quartic(matrices: AdapterMatrices): MatrixMeasured {
  let value = 0;
  const gradient = new Map(
    [...matrices].map(([name, { data, shape }]) => {
      for (const x of data) value += x ** 4;
      return [name, { data: data.map((x) => 4 * x ** 3), shape }];
    }),
  );
  return { value, gradient, metrics: { quartic: value } };
}

it("is called with every matrix by its name in PEFT's layout, and returns what the loss returns but its gradient", async () => {
  const seen: string[] = [];
  const output = await client.matrices.backward((matrices) => {
    for (const [name, { data, shape }] of matrices) {
      seen.push(name);
      expect(data).toEqual(client.parameters.get(name)!.data);
      expect(shape).toEqual(client.parameters.get(name)!.shape);
    }
    return { value: 3, gradient: new Map(), metrics: { own: 1 } };
  });
  expect(output).toEqual({ value: 3, metrics: { own: 1 } });
  expect(seen).toEqual([...client.parameters.keys()]);
  expect(seen[0]).toMatch(/^base_model\.model\.model\.layers\.0\.self_attn\.q_proj\.lora_[AB]\.weight$/);
});

it("adds its gradient, that of finite differences, to what has accumulated", async () => {
  clearGradient(client);
  await addLikelihood(client, DATA);
  const before = gradientOf(client);
  clearGradient(client);
  const { value } = await client.matrices.backward(quartic);
  const alone = gradientOf(client);
  expect(norm(alone)).toBeGreaterThan(1e-3);
  const measure = async () =>
    (await client.matrices.backward((matrices) => ({ ...quartic(matrices), gradient: new Map() }))).value;
  expect(await measure()).toBe(value);
  for (const [name, { data, gradient }] of [...client.parameters].slice(0, 4))
    expect(await gradientError(data, gradient.slice(), 0.01 * norm(data), measure), name).toBeLessThan(1e-3);

  clearGradient(client);
  await Promise.all([addLikelihood(client, DATA), client.matrices.backward(quartic)]);
  expect(
    relativeDistance(
      gradientOf(client),
      before.map((g, i) => g + alone[i]!),
    ),
  ).toBeLessThan(1e-6);
});

it("a gradient that does not fit is refused, naming the matrix, and nothing is added", async () => {
  const [name, { data }] = [...client.parameters][0]!;
  const [last] = [...client.parameters].at(-1)!;
  const returning = (to: string, size: number) => () =>
    client.matrices.backward((matrices) => ({
      value: 0,
      gradient: new Map([
        [last, matrices.get(last)!],
        [to, tensor(new Float32Array(size), [size])],
      ]),
      metrics: {},
    }));
  clearGradient(client);
  expect(await complaint(returning(name, 3))).toBe(
    `the loss returned 3 numbers as the gradient of ${name}, expected ${data.length}: one for each of its entries.`,
  );
  expect(await complaint(returning("lm_head.weight", 3))).toBe(
    "the loss returned 3 numbers as the gradient of lm_head.weight, which is not one of the adapter's matrices.",
  );
  expect(norm(gradientOf(client))).toBe(0);
});

it("a client that trains every weight has no matrices of an adapter, and nothing else of one", async () => {
  const tiny = await tinyModel();
  const all = await tiny.pretrainingClient();
  for (const capability of ["matrices", "lora", "folders", "snapshots", "revert", "checkpoints"]) {
    expect(all, capability).not.toHaveProperty(capability);
  }
  await all.close();
  await tiny.close();
});
