import { readFileSync } from "node:fs";
import { afterAll } from "vitest";
import { type Datum, everyToken, totalWeight } from "../../../src/data/datum.ts";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { LocalTrainingClient } from "../../../src/engine/local/training-client.ts";
import type { CustomLoss, SamplingClient } from "../../../src/model/legacy.ts";

/** @file A small model trained by PyTorch, transformers and PEFT: what klamp's engine is measured against. */

export const FIXTURE = new URL("../../fixtures/llama/", import.meta.url).pathname;
export const MODEL = `${FIXTURE}model`;

/** The model, and a client that trains the adapter that PyTorch started from; both are closed after the file's tests. */
export async function openFixture(): Promise<{ model: LocalModel; client: LocalTrainingClient }> {
  const model = await LocalModel.open(MODEL, { threads: 1 });
  const client = await model.trainingClient({ adapter: `${FIXTURE}adapter-init` });
  afterAll(async () => {
    await client.close();
    await model.close();
  });
  return { model, client };
}

/** Σ w·x / Σ w of cross-entropy + beta · KL, written out plainly in float64. */
export function plainLoss(
  base: SamplingClient,
  batch: readonly Datum[],
  direction: "forward" | "reverse",
  beta = 0.1,
): CustomLoss {
  const total = totalWeight(batch);
  return {
    support: "vocabulary",
    compute: async (data, logprobs) => {
      const reference = await base.distributions(data);
      const metrics = { cross_entropy: 0, kl_divergence: 0 };
      const gradient = data.map((datum, i) => slopes(datum, logprobs[i]!, reference[i]!));
      return { loss: metrics.cross_entropy + beta * metrics.kl_divergence, gradient, metrics };

      function slopes({ lossInputs }: Datum, p: Tensor, q: Tensor): Tensor {
        const [rows, size] = p.shape as [number, number];
        const out = new Float32Array(p.data.length);
        for (let row = 0; row < rows; row++) {
          const weight = lossInputs.weights.data[row]! / total;
          const target = lossInputs.target_tokens.data[row]!;
          const at = (tensor: Tensor, v: number) => tensor.data[row * size + v]!;
          let kl = 0;
          for (let v = 0; v < size; v++) {
            const ratio = at(p, v) - at(q, v);
            kl += direction === "forward" ? Math.exp(at(p, v)) * ratio : -Math.exp(at(q, v)) * ratio;
          }
          for (let v = 0; v < size; v++) {
            const prob = Math.exp(at(p, v));
            const ofKl = direction === "forward" ? prob * (at(p, v) - at(q, v) - kl) : prob - Math.exp(at(q, v));
            out[row * size + v] = weight * (prob - (v === target ? 1 : 0) + beta * ofKl);
          }
          metrics.cross_entropy -= weight * at(p, target);
          metrics.kl_divergence += weight * kl;
        }
        return { data: out, shape: p.shape };
      }
    },
  };
}

/** The four batches of the fixture. */
export function fixtureBatches(): Datum[][] {
  const { batches } = JSON.parse(readFileSync(`${FIXTURE}tokens.json`, "utf8")) as {
    batches: { tokens: number[][]; weights?: number[][] }[];
  };
  return batches.map(({ tokens, weights }) =>
    tokens.map((sequence, i) => {
      const datum = everyToken(sequence);
      const given = weights?.[i];
      const { lossInputs } = datum;
      return given
        ? {
            ...datum,
            lossInputs: { ...lossInputs, weights: { ...lossInputs.weights, data: Float32Array.from(given) } },
          }
        : datum;
    }),
  );
}

export interface ExpectedStep {
  readonly direction: "model||reference" | "reference||model";
  readonly start: string;
  readonly step: number;
  readonly loss: number;
  readonly ce: number;
  readonly kl: number;
  readonly grad_norm: number;
}

export function expectedSteps(): ExpectedStep[] {
  const lines = readFileSync(`${FIXTURE}expected.jsonl`, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as ExpectedStep);
}
