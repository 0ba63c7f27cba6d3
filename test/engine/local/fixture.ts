import { readFileSync } from "node:fs";
import { afterAll } from "vitest";
import { type Datum, everyToken } from "../../../src/data/datum.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { LocalSamplingClient } from "../../../src/engine/local/sampling-client.ts";
import type { LocalTrainingClient } from "../../../src/engine/local/training-client.ts";
import type { Item, Loss } from "../../../src/loss/contract.ts";
import type { VocabularyModel } from "../../../src/model/contract.ts";

/** @file A small model trained by PyTorch, transformers and PEFT: what klamp's engine is measured against. */

export const FIXTURE = new URL("../../fixtures/llama/", import.meta.url).pathname;
export const MODEL = `${FIXTURE}model`;

/**
 * The model, a sampler over it, and a client that trains the adapter that PyTorch started from; all are closed after the
 * file's tests.
 */
export async function openFixture(): Promise<{
  model: LocalModel;
  base: LocalSamplingClient;
  client: LocalTrainingClient;
}> {
  const model = await LocalModel.open(MODEL, { threads: 1 });
  const client = await model.trainingClient({ adapter: `${FIXTURE}adapter-init` });
  afterAll(async () => {
    await client.close();
    await model.close();
  });
  return { model, base: await model.sampler(), client };
}

/** Σ w·x / Σ w of cross-entropy + beta · KL, written out plainly in float64. */
export function plainLoss(
  base: Pick<VocabularyModel, "distributions">,
  direction: "model||reference" | "reference||model",
  beta = 0.1,
): Loss {
  return {
    begin: async (batch: readonly Item[]) => {
      const total = batch.reduce((sum, { weights }) => sum + weights.reduce((a, b) => a + b, 0), 0);
      const reference = await base.distributions(batch.map(({ datum }) => datum));
      const metrics = { cross_entropy: 0, kl_divergence: 0 };
      return {
        add: ({ spans, logprobs }, { gradient, scale }) => {
          for (const [i, { index, from, to }] of spans.entries()) {
            const { datum, weights } = batch[index]!;
            const size = logprobs[i]!.shape[1]!;
            for (let position = from; position < to; position++) {
              const weight = weights[position]! / total;
              const target = datum.lossInputs.target_tokens.data[position]!;
              const row = (position - from) * size;
              const p = (v: number) => logprobs[i]!.data[row + v]!;
              const q = (v: number) => reference[index]!.data[position * size + v]!;
              const forward = direction === "model||reference";
              let kl = 0;
              for (let v = 0; v < size; v++)
                kl += Math.exp(forward ? p(v) : q(v)) * (forward ? p(v) - q(v) : q(v) - p(v));
              for (let v = 0; v < size; v++) {
                const prob = Math.exp(p(v));
                const ofKl = forward ? prob * (p(v) - q(v) - kl) : prob - Math.exp(q(v));
                gradient[i]!.data[row + v]! += scale * weight * (prob - (v === target ? 1 : 0) + beta * ofKl);
              }
              metrics.cross_entropy -= weight * p(target);
              metrics.kl_divergence += weight * kl;
            }
          }
        },
        end: () => ({ value: metrics.cross_entropy + beta * metrics.kl_divergence, metrics }),
      };
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
