// A regularizer of your own: the Wasserstein-1 distance over tokens on a line.
//
//     npx tsx examples/wasserstein.ts
import { baseReference, loadDataset, loadTokenizer, train } from "klamp";
import { LocalModel } from "klamp/engine";
import { wasserstein } from "./own/wasserstein.ts";

const folder = new URL("../models/small-world", import.meta.url).pathname;
const path = new URL("../data/small-world/task/train.jsonl", import.meta.url).pathname;
const tokenizer = loadTokenizer(folder);
const model = await LocalModel.open(folder);
const client = await model.trainingClient();
const data = await loadDataset(path, tokenizer);
// How long each token is in letters: probability that moves to tokens of another length costs.
const lengths = Array.from({ length: tokenizer.vocabularySize }, (_, v) => tokenizer.decode([v]).length);
const regularizer = wasserstein(baseReference(client.sampler("base")), lengths);

const { rows } = await train({ client, data, steps: 20, regularizers: [{ regularizer, weight: 0.1 }] });
for (const { step, cross_entropy, regularizers } of rows.filter(({ step }) => step === 1 || step % 10 === 0)) {
  const { value } = regularizers.wasserstein!;
  console.log(`step ${step}  cross-entropy ${cross_entropy.toFixed(3)}  wasserstein ${value.toFixed(4)}`);
}
await client.close();
await model.close();
