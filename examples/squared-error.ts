// A regularizer of your own: the squared error of log-probabilities.
//
//     npx tsx examples/squared-error.ts
import { baseReference, loadDataset, loadTokenizer, train } from "klamp";
import { LocalModel } from "klamp/engine";
import { squaredError } from "./own/squared-error.ts";

const folder = new URL("../models/small-world", import.meta.url).pathname;
const path = new URL("../data/small-world/task/train.jsonl", import.meta.url).pathname;
const tokenizer = loadTokenizer(folder);
const model = await LocalModel.open(folder);
const client = await model.trainingClient();
const data = await loadDataset(path, tokenizer);

const regularizer = squaredError(baseReference(client.sampler("base")));

const { rows } = await train({ client, data, steps: 20, regularizers: [{ regularizer, weight: 0.05 }] });
for (const { step, cross_entropy, regularizers } of rows.filter(({ step }) => step === 1 || step % 10 === 0)) {
  const { value } = regularizers.squared_error!;
  console.log(`step ${step}  cross-entropy ${cross_entropy.toFixed(3)}  squared_error ${value.toFixed(4)}`);
}
await client.close();
await model.close();
