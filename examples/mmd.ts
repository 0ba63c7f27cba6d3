// A regularizer of your own: the maximum mean discrepancy, with a kernel that knows which tokens are alike.
//
//     npx tsx examples/mmd.ts
import { baseReference, loadDataset, loadTokenizer, train } from "klamp";
import { LocalModel } from "klamp/engine";
import { mmd } from "./own/mmd.ts";

const folder = new URL("../models/small-world", import.meta.url).pathname;
const path = new URL("../data/small-world/task/train.jsonl", import.meta.url).pathname;
const tokenizer = loadTokenizer(folder);
const model = await LocalModel.open(folder);
const client = await model.trainingClient();
const data = await loadDataset(path, tokenizer);
// Tokens are alike that are about as long, in letters.
const lengths = Array.from({ length: tokenizer.vocabularySize }, (_, v) => tokenizer.decode([v]).length);
const kernel = lengths.map((x) => Float64Array.from(lengths, (y) => Math.exp(-((x - y) ** 2) / 2)));
const regularizer = mmd(baseReference(client.sampler("base")), kernel);

const { rows } = await train({ client, data, steps: 20, regularizers: [{ regularizer, weight: 1 }] });
for (const { step, cross_entropy, regularizers } of rows.filter(({ step }) => step === 1 || step % 10 === 0)) {
  const { value } = regularizers.mmd!;
  console.log(`step ${step}  cross-entropy ${cross_entropy.toFixed(3)}  mmd ${value.toFixed(4)}`);
}
await client.close();
await model.close();
