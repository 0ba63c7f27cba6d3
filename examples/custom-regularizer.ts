// A regularizer of your own: the squared error of log-probabilities, with its gradient, in a training loop of your own.
//
//     npx tsx examples/custom-regularizer.ts
import { baseReference, loadDataset, loadTokenizer, type Regularizer, train } from "klamp";
import { LocalModel } from "klamp/engine";

const folder = new URL("../models/small-world", import.meta.url).pathname;
const model = await LocalModel.open(folder);
const client = await model.trainingClient({ rank: 8, alpha: 16, seed: 1 });
const base = baseReference(model.sampler());

/** Σ w·½·Σᵥ p·(log p − log q)² / Σ w. With d = log p − log q its slope is p·(½d² + d − Σ p·(½d² + d)). */
const squaredError: Regularizer = {
  name: "squared_error",
  async compute(data, logprobs, { totalWeight = 1 } = {}) {
    const reference = await base.resolve(data);
    let loss = 0;
    const gradient = logprobs.map(({ data: p, shape }, i) => {
      const [rows, size] = shape as [number, number];
      const slope = new Float32Array(p.length);
      for (let row = 0; row < rows; row++) {
        const weight = data[i]!.lossInputs.weights.data[row]! / totalWeight;
        const at = (v: number) => row * size + v;
        let value = 0;
        let mean = 0;
        for (let v = 0; v < size; v++) {
          const d = p[at(v)]! - reference[i]!.data[at(v)]!;
          value += 0.5 * Math.exp(p[at(v)]!) * d * d;
          mean += Math.exp(p[at(v)]!) * (0.5 * d * d + d);
        }
        for (let v = 0; v < size; v++) {
          const d = p[at(v)]! - reference[i]!.data[at(v)]!;
          slope[at(v)] = weight * Math.exp(p[at(v)]!) * (0.5 * d * d + d - mean);
        }
        loss += weight * value;
      }
      return { data: slope, shape };
    });
    return { loss, gradient, metrics: { squared_error: loss } };
  },
};

const tokenizer = loadTokenizer(folder);
const { vocabSize, maxPositions } = model.config;
const path = new URL("../data/small-world/task/train.jsonl", import.meta.url).pathname;
const data = await loadDataset(path, tokenizer, { vocabSize, maxLength: maxPositions });

const { rows } = await train({
  client,
  data,
  steps: 20,
  batchSize: 16,
  seed: 1,
  shuffle: true,
  regularizers: [{ regularizer: squaredError, weight: 0.05 }],
  optimizer: {
    learning_rate: 3e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weight_decay: 0,
    grad_clip: 1,
    schedule: "constant",
    warmup_steps: 0,
  },
});
for (const { step, cross_entropy, squared_error } of rows.filter(({ step }) => step === 1 || step % 10 === 0)) {
  console.log(`step ${step}  cross-entropy ${cross_entropy.toFixed(3)}  squared error ${squared_error!.toFixed(3)}`);
}
await client.close();
await model.close();
