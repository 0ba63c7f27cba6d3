import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Datum } from "../../../src/data/datum.ts";
import { openSafetensors } from "../../../src/data/safetensors.ts";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { LocalSamplingClient } from "../../../src/engine/local/sampling-client.ts";
import { backward } from "../../../src/model/backward.ts";
import { temporaryFolder } from "../../data/folders.ts";
import { datumOf } from "../../regularizer/datums.ts";
import { plainLoss } from "./fixture.ts";

/** @file Every family against PyTorch, transformers and PEFT: test/fixtures/families, which a script made. */

const FIXTURES = fileURLToPath(new URL("../../fixtures/families/", import.meta.url));
const NAMES = readdirSync(FIXTURES).filter((name) => name !== "adapters");
const ADAPTERS = readdirSync(join(FIXTURES, "adapters"));
const ADAM = { learning_rate: 5e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };
const BETA = 0.3;

async function readAll(path: string): Promise<ReadonlyMap<string, Tensor>> {
  const file = await openSafetensors(path);
  const tensors = new Map<string, Tensor>();
  for (const name of file.shapes.keys()) tensors.set(name, await file.read(name));
  await file.close();
  return tensors;
}

const expectedOf = (name: string) => readAll(join(FIXTURES, name, "expected.safetensors"));

/** The two batches, each row cut to its own length. */
function batchesOf(expected: ReadonlyMap<string, Tensor>): Datum[][] {
  const [tokens, weights, lengths] = ["tokens", "weights", "lengths"].map((name) => expected.get(name)!);
  const [batches, rows, length] = tokens!.shape as [number, number, number];
  return Array.from({ length: batches }, (_, batch) =>
    Array.from({ length: rows }, (_, row) => {
      const at = batch * rows + row;
      const count = lengths!.data[at]! - 1;
      const ids = Array.from(tokens!.data.subarray(at * length, at * length + count + 1));
      const kept = Array.from(weights!.data.subarray(at * (length - 1), at * (length - 1) + count));
      return datumOf(kept, { modelInput: Int32Array.from(ids.slice(0, -1)), targets: ids.slice(1) });
    }),
  );
}

/** Largest difference to transformers' logits, both after a softmax, over positions of tokens that are there. */
async function worstLogprob(
  sampler: LocalSamplingClient,
  data: readonly Datum[],
  { data: logits, shape: [, length, size] }: Tensor,
): Promise<number> {
  let worst = 0;
  const found = await sampler.distributions(data);
  for (const [row, { data: logprobs, shape }] of found.entries()) {
    for (let position = 0; position < shape[0]!; position++) {
      const from = (row * length! + position) * size!;
      const theirs = logits.subarray(from, from + size!);
      const total = Math.log(theirs.reduce((sum, x) => sum + Math.exp(x), 0));
      for (let v = 0; v < size!; v++) {
        worst = Math.max(worst, Math.abs(logprobs[position * size! + v]! - (theirs[v]! - total)));
      }
    }
  }
  return worst;
}

describe.each(NAMES)("%s", (name) => {
  it("gives transformers' log-probabilities, and PEFT's with an adapter", async () => {
    const expected = await expectedOf(name);
    const model = await LocalModel.open(join(FIXTURES, name), { threads: 1 });
    expect(model.model.notices).toBeUndefined();
    const [data] = batchesOf(expected);
    const tuned = await model.sampler(join(FIXTURES, name, "adapter"));
    expect(await worstLogprob(await model.sampler(), data!, expected.get("logits_base")!)).toBeLessThan(1e-4);
    expect(await worstLogprob(tuned, data!, expected.get("logits_adapter")!)).toBeLessThan(1e-4);
    await model.close();
  });

  it.each(["model||reference", "reference||model"] as const)("trains along PEFT's curve: KL(%s)", async (direction) => {
    const expected = await expectedOf(name);
    const model = await LocalModel.open(join(FIXTURES, name), { threads: 1 });
    const client = await model.trainingClient({ adapter: join(FIXTURES, name, "adapter") });
    const loss = plainLoss(client.sampler("base"), direction, BETA);
    const batches = batchesOf(expected);
    const curve = expected.get(`curve.${direction}`)!;
    const close = (found: number, expected: number, what: string) =>
      expect(Math.abs(found - expected) / Math.max(Math.abs(expected), 1e-3), what).toBeLessThan(1e-4);
    for (let step = 0; step < curve.shape[0]!; step++) {
      const [total, ce, divergence, norm] = curve.data.subarray(4 * step, 4 * step + 4);
      const { value, metrics } = await backward(client, batches[step % 2]!, loss);
      const { grad_norm } = await client.optimStep(ADAM);
      close(value, total!, `loss of step ${step + 1}`);
      close(metrics.cross_entropy!, ce!, `cross-entropy of step ${step + 1}`);
      close(metrics.kl_divergence!, divergence!, `KL of step ${step + 1}`);
      close(grad_norm, norm!, `gradient norm of step ${step + 1}`);
    }
    await client.close();
    await model.close();
  });

  it("samples with a cache what it gives at once", async () => {
    const model = await LocalModel.open(join(FIXTURES, name), { threads: 1 });
    const sampler = await model.sampler();
    const prompts = [Int32Array.of(3, 9, 4, 20, 7, 30, 11), Int32Array.of(5, 40)];
    const drawn = await sampler.sample(prompts, { max_tokens: 12, seed: 3 });
    for (const [i, { tokens, logprobs }] of drawn.entries()) {
      const whole = Int32Array.from([...prompts[i]!, ...tokens]);
      const [again] = await sampler.computeLogprobs([whole]);
      for (const [k, logprob] of logprobs.entries()) {
        expect(again![prompts[i]!.length + k]).toBeCloseTo(logprob, 4);
      }
    }
    await model.close();
  });
});

describe.each(ADAPTERS)("an adapter with %s", (name) => {
  const folder = join(FIXTURES, "adapters", name);

  it("gives PEFT's log-probabilities, also after it was written again", async () => {
    const [data] = batchesOf(await expectedOf("llama"));
    const logits = (await readAll(join(folder, "expected.safetensors"))).get("logits_adapter")!;
    const model = await LocalModel.open(join(FIXTURES, "llama"), { threads: 1 });
    expect(await worstLogprob(await model.sampler(folder), data!, logits)).toBeLessThan(1e-4);
    const again = temporaryFolder();
    const client = await model.trainingClient({ adapter: folder });
    await client.folders.saveAdapter(again);
    expect(await worstLogprob(await model.sampler(again), data!, logits)).toBeLessThan(1e-4);
    await client.close();
    await model.close();
  });
});
