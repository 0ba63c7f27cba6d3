/**
 * Makes models/small-world/model.safetensors: trains every weight of a small Llama on the small world's corpus, with
 * the graphs that fine-tuning uses. `npm run make-base-model`, about 20 minutes on two cores.
 *
 *     npm run make-base-model -- [--tokens 9e6] [--out models/small-world]
 */
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createRandom } from "../src/common/random.ts";
import { weightedDatum } from "../src/data/dataset.ts";
import { type Datum, totalWeight } from "../src/data/datum.ts";
import { loadQuestions } from "../src/data/questions.ts";
import { writeSafetensors } from "../src/data/safetensors.ts";
import { loadTokenizer } from "../src/data/tokenizer.ts";
import type { Tensor } from "../src/divergence/tensor.ts";
import { weightShapes } from "../src/engine/families/weights.ts";
import { readModelConfig } from "../src/engine/local/files/model-config.ts";
import { LocalModel } from "../src/engine/local/local-model.ts";
import { crossEntropyLoss } from "../src/loss/cross-entropy.ts";
import { backward } from "../src/model/backward.ts";
import { corpus, promptWeight, seeds } from "./small-world/corpus.ts";
import { skills } from "./small-world/skills.ts";

const { values: options } = parseArgs({
  options: { tokens: { type: "string", default: "9e6" }, out: { type: "string", default: "models/small-world" } },
});
const SOURCE = "models/small-world";
const TOKENS = Number(options.tokens);
const TOKENS_PER_STEP = 2048;
const STEPS = Math.ceil(TOKENS / TOKENS_PER_STEP);
const LEARNING_RATE = 3e-3;
const ADAM = { beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay: 0.05, grad_clip_norm: 1 };

const tokenizer = loadTokenizer(SOURCE);
const config = await readModelConfig(SOURCE);
const weights = startWeights();
const model = await LocalModel.of(SOURCE, config, weights);
const client = await model.pretrainingClient();
const batches = lengthBuckets(seeds.training);

const started = performance.now();
let tokens = 0;
let recent = 0;
for (let step = 1; step <= STEPS; step++) {
  const batch = batches.next().value;
  const { value } = await backward(client, batch, crossEntropyLoss({ reduction: "sum" }));
  await client.optimStep({ ...ADAM, learning_rate: learningRate(step) });
  for (const { modelInput } of batch) tokens += modelInput.length;
  recent += (value - recent) / Math.min(step, 50);
  if (step % 50 === 0 || step === STEPS) {
    const seconds = (performance.now() - started) / 1000;
    const left = ((STEPS - step) * seconds) / step;
    console.error(
      `step ${step}/${STEPS}  loss ${recent.toFixed(3)}  lr ${learningRate(step).toExponential(1)}  ${Math.round(tokens / seconds)} tok/s  ${Math.round(left)} s left`,
    );
  }
  if (step % 500 === 0 || step === STEPS) await report();
}

mkdirSync(options.out, { recursive: true });
for (const name of ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]) {
  const target = join(options.out, name);
  if (!existsSync(target)) copyFileSync(join(SOURCE, name), target);
}
await writeSafetensors(join(options.out, "model.safetensors"), weights, { dtype: "F16" });
await client.close();
await model.close();

/** Normal(0, 0.02), gains 1: the start of Hugging Face's Llama. */
function startWeights(): Map<string, Tensor> {
  const random = createRandom(seeds.training);
  const normal = () => 0.02 * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return new Map(
    [...weightShapes(config)].map(([name, shape]) => {
      const size = shape.reduce((product, n) => product * n, 1);
      const data = Float32Array.from({ length: size }, shape.length === 1 ? () => 1 : normal);
      return [name, { data, shape }];
    }),
  );
}

/** A short warm-up, flat to 40 %, then down to 3 % in a line. */
function learningRate(step: number): number {
  const warmUp = Math.min(1, step / 100);
  const down = Math.max(0, step / STEPS - 0.4) / 0.6;
  return LEARNING_RATE * warmUp * (1 - 0.97 * down);
}

/** Batches of documents of like length, so that little is padding; each batch's weights add up to 1. */
function* lengthBuckets(seed: number): Generator<Datum[], never> {
  const buckets = new Map<number, Datum[]>();
  for (const { prompt, completion } of corpus(seed)) {
    const head = prompt === "" ? Int32Array.of(tokenizer.bos!) : tokenizer.encode(prompt, { specialTokens: true });
    const tail = Int32Array.of(...tokenizer.encode(completion), tokenizer.eos!);
    const weights = [...head].map(() => promptWeight).concat([...tail].map(() => 1));
    const datum = weightedDatum({ tokens: [...head, ...tail], weights });
    const width = 4 * Math.ceil(datum.modelInput.length / 4);
    const bucket = buckets.get(width) ?? [];
    buckets.set(width, bucket);
    bucket.push(datum);
    if (bucket.length * width >= TOKENS_PER_STEP) {
      buckets.delete(width);
      yield normalized(bucket);
    }
  }
  throw new Error("the corpus has no end");
}

function normalized(batch: readonly Datum[]): Datum[] {
  const total = totalWeight(batch);
  return batch.map((datum) => {
    const { weights } = datum.lossInputs;
    const scaled = { data: weights.data.map((w) => w / total), shape: weights.shape };
    return { ...datum, lossInputs: { ...datum.lossInputs, weights: scaled } };
  });
}

/** Exact match of each skill on its development split. */
async function report(): Promise<void> {
  const scores: string[] = [];
  for (const { name } of skills) {
    const rows = await loadQuestions(`data/small-world/skills/${name}.dev.jsonl`, tokenizer);
    const answers = await client.sampler("current").sample(
      rows.map(({ prompt }) => prompt),
      { max_tokens: 24, temperature: 0, stop: tokenizer.stop },
    );
    const right = answers.filter(({ tokens }, i) => tokens.join() === rows[i]!.completionTokens.join()).length;
    scores.push(`${name} ${Math.round((100 * right) / rows.length)} %`);
  }
  console.error(`  ${scores.join("  ")}`);
}
