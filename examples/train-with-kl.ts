// Fine-tuning that is held to the base model. From the folder of klamp: npx tsx examples/train-with-kl.ts
import { baseReference, KLDivergence, loadDataset, loadTokenizer, train } from "klamp";
import { LocalModel } from "klamp/engine";

const model = await LocalModel.open("models/small-world");
const client = await model.trainingClient();
const data = await loadDataset("data/small-world/task/train.jsonl", loadTokenizer("models/small-world"));
const kl = new KLDivergence({ reference: baseReference(client.sampler("base")) });
const { rows } = await train({ client, data, steps: 20, regularizers: [kl] });
const told = rows.filter(({ step }) => step === 1 || step % 10 === 0);
for (const { step, cross_entropy } of told) console.log(`step ${step}  cross-entropy ${cross_entropy.toFixed(3)}`);
await client.close();
await model.close();
