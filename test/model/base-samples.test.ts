import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rowCount } from "../../src/data/datum.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { drawBaseSamples } from "../../src/model/base-samples.ts";
import type { SamplingClient } from "../../src/model/contract.ts";
import { complaint } from "../data/folders.ts";

const FOLDER = fileURLToPath(new URL("../../models/small-world/", import.meta.url));
const OPTIONS = { samples: 12, max_tokens: 24, temperature: 1, seed: 3 };

let model: LocalModel;
let base: SamplingClient;
const tokenizer = loadTokenizer(FOLDER);
beforeAll(async () => {
  model = await LocalModel.open(FOLDER, { threads: 1 });
  base = await model.sampler();
});
afterAll(() => model.close());

test("are texts of the base's own from its beginning on, every token after that of weight 1", async () => {
  const drawn = await drawBaseSamples(base, tokenizer, OPTIONS);
  expect(drawn).toHaveLength(12);
  const logprobs = await base.computeLogprobs(
    drawn.map(({ modelInput, lossInputs }) => [...modelInput, lossInputs.target_tokens.data.at(-1)!]),
  );
  let [ended, rows, surprise] = [0, 0, 0];
  for (const [i, datum] of drawn.entries()) {
    const { target_tokens, weights } = datum.lossInputs;
    const targets = [...target_tokens.data];
    expect(datum.source).toBe(`base sample ${i + 1}`);
    expect([...datum.modelInput]).toEqual([tokenizer.bos, ...targets.slice(0, -1)]);
    expect([...weights.data]).toEqual(targets.map(() => 1));
    expect(rowCount(datum)).toBeLessThanOrEqual(24);
    const end = targets.findIndex((token) => tokenizer.stop.includes(token));
    // A text ends where the base ends it, and only there.
    if (rowCount(datum) < 24) expect(end).toBe(targets.length - 1);
    if (end !== -1) {
      expect(end).toBe(targets.length - 1);
      ended++;
    }
    rows += targets.length;
    surprise -= logprobs[i]!.subarray(1).reduce((sum, x) => sum + x, 0);
  }
  expect(ended).toBeGreaterThan(0);
  // The base finds its own words likely: far from log 1024 = 6.9 nats per token.
  expect(surprise / rows).toBeLessThan(3);
});

test("are fixed by the seed, and a larger number begins with the same", async () => {
  const draw = (changes: Partial<typeof OPTIONS>) => drawBaseSamples(base, tokenizer, { ...OPTIONS, ...changes });
  const drawn = await draw({});
  expect(await draw({})).toEqual(drawn);
  expect(await draw({ seed: 4 })).not.toEqual(drawn);
  expect((await draw({ samples: 20 })).slice(0, 12)).toEqual(drawn);
  expect(await draw({ samples: 0 })).toEqual([]);
});

test("at temperature 0 are all the likeliest text", async () => {
  const drawn = await drawBaseSamples(base, tokenizer, { ...OPTIONS, samples: 3, temperature: 0 });
  expect(new Set(drawn.map(({ modelInput }) => modelInput.join())).size).toBe(1);
});

test("cannot begin without a token to begin with", async () => {
  const headless = { ...tokenizer, bos: null };
  expect(await complaint(() => drawBaseSamples(base, headless, OPTIONS))).toBe(
    `the tokenizer in ${FOLDER} names no bos_token to begin samples of the base with: write \`text: completions\`, or \`text: { file: PATH }\` with texts of your own`,
  );
});
