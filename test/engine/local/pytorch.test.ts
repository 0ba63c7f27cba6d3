import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { everyToken } from "../../../src/data/datum.ts";
import { openSafetensors } from "../../../src/data/safetensors.ts";
import { buildDecoder, DECODER_DIMENSIONS } from "../../../src/engine/families/decoder.ts";
import { toLora } from "../../../src/engine/families/lora.ts";
import { gemm } from "../../../src/engine/graph/operators.ts";
import { input } from "../../../src/engine/graph/value.ts";
import { BaseModel } from "../../../src/engine/local/base-model.ts";
import { splitBatches } from "../../../src/engine/local/batch.ts";
import { readAdapter } from "../../../src/engine/local/files/adapter.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import { Program } from "../../../src/engine/local/program.ts";
import type { LocalSamplingClient } from "../../../src/engine/local/sampling-client.ts";
import { backward } from "../../../src/model/backward.ts";
import { expectedSteps, FIXTURE, fixtureBatches, MODEL, plainLoss } from "./fixture.ts";

const ADAM = { learning_rate: 5e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };

describe("against PyTorch, transformers and PEFT", () => {
  let model: LocalModel;
  let base: LocalSamplingClient;
  beforeAll(async () => {
    model = await LocalModel.open(MODEL, { threads: 1 });
    base = await model.sampler();
  });
  afterAll(() => model.close());

  for (const direction of ["model||reference", "reference||model"] as const) {
    for (const start of ["adapter-init", "adapter-zero"]) {
      it(`trains along the same curve: KL(${direction}) from ${start}`, async () => {
        const steps = expectedSteps().filter((each) => each.direction === direction && each.start === start);
        expect(steps).toHaveLength(20);
        const batches = fixtureBatches();
        const client = await model.trainingClient({ adapter: FIXTURE + start });
        for (const { step, loss, ce, kl, grad_norm } of steps) {
          const batch = batches[(step - 1) % 4]!;
          const out = await backward(client, batch, plainLoss(base, direction));
          const { grad_norm: norm } = await client.optimStep(ADAM);
          const relative = (found: number, expected: number) =>
            Math.abs(found - expected) / Math.max(Math.abs(expected), 1e-6);
          expect(relative(out.value, loss), `loss of step ${step}`).toBeLessThan(1e-4);
          expect(relative(out.metrics.cross_entropy!, ce), `cross-entropy of step ${step}`).toBeLessThan(1e-4);
          expect(relative(out.metrics.kl_divergence!, kl), `KL of step ${step}`).toBeLessThan(1e-4);
          expect(relative(norm, grad_norm), `gradient norm of step ${step}`).toBeLessThan(1e-4);
        }
        if (start === "adapter-init") {
          const name = direction === "model||reference" ? "adapter-final-mr" : "adapter-final-rm";
          const final = await readAdapter(FIXTURE + name, model.config);
          for (const [key, { data }] of final.matrices) {
            const ours = client.parameters.get(key)!.data;
            const worst = Math.max(...data.map((value, i) => Math.abs(value - ours[i]!)));
            expect(worst, key).toBeLessThan(1e-3);
          }
        }
        await client.close();
      });
    }
  }

  it("gives the same logits, with the adapter and without", async () => {
    const file = await openSafetensors(`${FIXTURE}logits.safetensors`);
    const tokens = [...readIds()];
    const [batch, length] = [2, 24];
    const model = await BaseModel.open(MODEL, { threads: 1 });
    const adapter = await readAdapter(`${FIXTURE}adapter-init`, model.config);
    for (const [name, lora, feeds] of [
      ["logits_base", null, new Map()],
      ["logits_adapter", toLora(model.config, adapter), model.feed(adapter.matrices)],
    ] as const) {
      const { hidden } = buildDecoder(model.config, lora);
      const head = input("head", [model.config.vocabSize, model.config.hiddenSize]);
      const logits = gemm(hidden, head, { transB: true });
      const program = await Program.open(model, new Map([["logits", logits]]), { dimensions: DECODER_DIMENSIONS });
      const data = [tokens.slice(0, length), tokens.slice(length)].map((each) => everyToken([...each, 0]));
      const [split] = splitBatches(data, model.config, 1000);
      const { feeds: fed, dims } = model.decoderFeeds(split!.tokens, split!);
      const found = (await program.run([fed, feeds, model.feeds], dims)).get("logits")!;
      const expected = await file.read(name);
      expect(expected.shape).toEqual([batch, length, model.config.vocabSize]);
      const worst = expected.data.reduce((max, x, i) => Math.max(max, Math.abs(x - found.data[i]!)), 0);
      expect(worst, name).toBeLessThan(1e-4);
      await program.close();
    }
    await file.close();
  });

  it("gives the same gradient of every LoRA matrix in step 1", async () => {
    const file = await openSafetensors(`${FIXTURE}grads.safetensors`);
    for (const [prefix, direction] of [
      ["mr.", "model||reference"],
      ["rm.", "reference||model"],
    ] as const) {
      const client = await model.trainingClient({ adapter: `${FIXTURE}adapter-init` });
      const batch = fixtureBatches()[0]!;
      await backward(client, batch, plainLoss(base, direction));
      for (const [name, { gradient }] of client.parameters) {
        const expected = (await file.read(prefix + name)).data;
        const scale = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
        const worst = expected.reduce((max, x, i) => Math.max(max, Math.abs(x - gradient[i]!)), 0);
        expect(worst / scale, name).toBeLessThan(1e-4);
      }
      await client.close();
    }
    await file.close();
  });
});

/** The int64 token ids of the logits file, which the reader of real numbers does not read. */
function readIds(): number[] {
  const bytes = readFileSync(`${FIXTURE}logits.safetensors`);
  const length = Number(bytes.readBigUInt64LE());
  const [from] = JSON.parse(bytes.toString("utf8", 8, 8 + length)).input_ids.data_offsets as [number, number];
  return Array.from({ length: 48 }, (_, i) => Number(bytes.readBigInt64LE(8 + length + from + 8 * i)));
}
