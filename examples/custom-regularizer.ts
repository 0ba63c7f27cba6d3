// A regularizer of your own: the squared error of log-probabilities, from its value and slope at one position.
//
//     npx tsx examples/custom-regularizer.ts
import { baseReference, loadDataset, loadTokenizer, perPosition, train } from "klamp";
import { LocalModel } from "klamp/engine";

const folder = new URL("../models/small-world", import.meta.url).pathname;
const model = await LocalModel.open(folder);
const client = await model.trainingClient();
const path = new URL("../data/small-world/task/train.jsonl", import.meta.url).pathname;
const data = await loadDataset(path, loadTokenizer(folder));

/** ½·Σ p·(log p − log q)². With d = log p − log q its slope with respect to log p is p·(½·d² + d). */
const squaredError = perPosition({
  name: "squared_error",
  reference: baseReference(client.sampler("base")),
  measure: ({ p, logP, logQ }) => {
    const d = logP.map((x, i) => x - logQ[i]!);
    const value = d.reduce((sum, x, i) => sum + 0.5 * p[i]! * x * x, 0);
    return { value, gradient: d.map((x, i) => p[i]! * (0.5 * x * x + x)) };
  },
});

const { rows } = await train({ client, data, steps: 20, regularizers: [{ regularizer: squaredError, weight: 0.05 }] });
for (const { step, cross_entropy, regularizers } of rows.filter(({ step }) => step === 1 || step % 10 === 0)) {
  const { squared_error } = regularizers.squared_error!.metrics;
  console.log(`step ${step}  cross-entropy ${cross_entropy.toFixed(3)}  squared error ${squared_error!.toFixed(3)}`);
}
await client.close();
await model.close();
