// Fine-tuning that is held to the base model, in a program of your own.
//
//     npx tsx examples/train-with-kl.ts
import { baseReference, KLDivergence, loadDataset, loadTokenizer, train } from "klamp";
import { LocalModel } from "klamp/engine";

const folder = new URL("../models/small-world", import.meta.url).pathname;
const model = await LocalModel.open(folder);
const client = await model.trainingClient();
const path = new URL("../data/small-world/task/train.jsonl", import.meta.url).pathname;
const data = await loadDataset(path, loadTokenizer(folder));
const kl = new KLDivergence({ reference: baseReference(client.sampler("base")) });
const { rows } = await train({ client, data, steps: 20, regularizers: [kl] });
for (const { step, cross_entropy } of rows.filter(({ step }) => step === 1 || step % 10 === 0)) {
  console.log(`step ${step}  cross-entropy ${cross_entropy.toFixed(3)}`);
}
await client.close();
await model.close();
