import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRandom, randomInteger } from "../../../src/common/random.ts";
import { everyToken } from "../../../src/data/datum.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import { complaint, temporaryFolder } from "../../data/folders.ts";
import { FIXTURE, MODEL, openFixture } from "./fixture.ts";
import { addLikelihood, randomData, tinyModel, worstDifference } from "./models.ts";

const LOGPROB_TOLERANCE = 1e-5;
const random = createRandom(8);
const PROMPTS = [1, 7, 2, 19, 7, 4].map((length) => Array.from({ length }, () => randomInteger(random, 320)));

const { model, client } = await openFixture();
const sampler = client.sampler("current");

function greatest(row: Float32Array): number {
  return row.indexOf(row.reduce((max, x) => Math.max(max, x), Number.NEGATIVE_INFINITY));
}

describe("greedy", () => {
  it.each(["current", "base"] as const)(
    "takes the likeliest token of a whole pass at every step (%s)",
    async (which) => {
      const drawn = await client.sampler(which).sample(PROMPTS, { max_tokens: 9, temperature: 0 });
      const texts = drawn.map(({ tokens }, i) => [...PROMPTS[i]!, ...tokens]);
      const rows = await client.sampler(which).distributions(texts.map((text) => everyToken(text)));
      for (const [i, { tokens, logprobs, stop_reason }] of drawn.entries()) {
        expect([tokens.length, logprobs.length, stop_reason]).toEqual([9, 9, "length"]);
        for (const [step, token] of tokens.entries()) {
          const at = (PROMPTS[i]!.length - 1 + step) * 320;
          const row = rows[i]!.data.subarray(at, at + 320);
          expect(token, `prompt ${i}, step ${step}`).toBe(greatest(row));
          expect(Math.abs(logprobs[step]! - row[token]!)).toBeLessThan(LOGPROB_TOLERANCE);
        }
      }
    },
  );

  it("does not depend on a seed", async () => {
    const [one, other] = await Promise.all(
      [1, 2].map((seed) => sampler.sample(PROMPTS, { max_tokens: 5, temperature: 0, seed })),
    );
    expect(one).toEqual(other);
  });
});

describe("at a temperature", () => {
  it("company and padding change nothing but the last digits", async () => {
    const crowd = Array.from({ length: 90 }, (_, i) => PROMPTS[i % PROMPTS.length]!);
    for (const temperature of [0, 1]) {
      const params = { max_tokens: 8, temperature, seed: 5 };
      for (const first of PROMPTS) {
        const [alone] = await sampler.sample([first], params);
        const [together] = await sampler.sample([first, ...crowd], params);
        expect(together!.tokens).toEqual(alone!.tokens);
        expect(worstDifference(together!.logprobs, alone!.logprobs)).toBeLessThan(LOGPROB_TOLERANCE);
      }
    }
  });

  it("the same seed gives the same tokens, another one others, and equal prompts differ", async () => {
    const params = { max_tokens: 12, seed: 3 };
    const one = await sampler.sample([PROMPTS[1]!, PROMPTS[1]!], params);
    expect(await sampler.sample([PROMPTS[1]!, PROMPTS[1]!], params)).toEqual(one);
    expect(one[0]!.tokens).not.toEqual(one[1]!.tokens);
    const [other] = await sampler.sample([PROMPTS[1]!], { ...params, seed: 4 });
    expect(other!.tokens).not.toEqual(one[0]!.tokens);
  });

  it.each([0.7, 1, 1.8])(
    "returns the model's own log-probabilities at %d, those of computeLogprobs",
    async (temperature) => {
      const drawn = await sampler.sample(PROMPTS, { max_tokens: 10, temperature, seed: 1 });
      const texts = drawn.map(({ tokens }, i) => Int32Array.of(...PROMPTS[i]!, ...tokens));
      const expected = await sampler.computeLogprobs(texts);
      for (const [i, { logprobs }] of drawn.entries()) {
        expect(worstDifference(logprobs, expected[i]!.subarray(-10))).toBeLessThan(LOGPROB_TOLERANCE);
      }
    },
  );

  it.each([0.6, 1, 2])("%d draws pairs of tokens as often as the model says (χ², p = 0.001)", async (temperature) => {
    const tiny = await tinyModel();
    const sampler = await tiny.sampler();
    const [prompt, size, draws] = [[3, 1, 4], 12, 6000];
    const counts = new Float64Array(size * size);
    const drawn = await sampler.sample(new Array(draws).fill(prompt), { max_tokens: 2, temperature, seed: 11 });
    for (const { tokens } of drawn) counts[tokens[0]! * size + tokens[1]!]!++;

    const texts = Array.from({ length: size }, (_, first) => everyToken([...prompt, first, 0]));
    const rows = await sampler.distributions(texts);
    const tempered = (row: Float32Array, t: number) => {
      const powers = Array.from(row, (logprob) => Math.exp(logprob / t));
      const sum = powers.reduce((a, b) => a + b, 0);
      return powers.map((p) => p / sum);
    };
    const chiSquare = (t: number) => {
      const firsts = tempered(rows[0]!.data.subarray(2 * size, 3 * size), t);
      let [statistic, cells, restExpected, restFound] = [0, 0, 0, 0];
      const add = (found: number, expected: number) => {
        statistic += (found - expected) ** 2 / expected;
        cells++;
      };
      for (const [first, { data }] of rows.entries()) {
        for (const [second, p] of tempered(data.subarray(3 * size, 4 * size), t).entries()) {
          const [found, expected] = [counts[first * size + second]!, draws * firsts[first]! * p];
          if (expected >= 5) add(found, expected);
          else [restFound, restExpected] = [restFound + found, restExpected + expected];
        }
      }
      if (restExpected > 0) add(restFound, restExpected);
      // Wilson and Hilferty's limit of χ² with so many degrees of freedom.
      const df = cells - 1;
      const limit = df * (1 - 2 / (9 * df) + 3.0902 * Math.sqrt(2 / (9 * df))) ** 3;
      expect(df).toBeGreaterThan(15);
      return statistic / limit;
    };
    expect(chiSquare(temperature)).toBeLessThan(1);
    // It would notice another temperature.
    expect(chiSquare(temperature * 1.2)).toBeGreaterThan(1);
    await tiny.close();
  });

  it("as low as can be is greedy", async () => {
    const greedy = await sampler.sample(PROMPTS, { max_tokens: 4, temperature: 0 });
    expect(await sampler.sample(PROMPTS, { max_tokens: 4, temperature: 1e-300, seed: 2 })).toEqual(greedy);
  });
});

describe("an end", () => {
  it("comes with the first stop token, which is returned, or after max_tokens; the others go on undisturbed", async () => {
    const tiny = await tinyModel();
    const sampler = await tiny.sampler();
    const prompts = Array.from({ length: 40 }, (_, i) => [i % 12, (i * 5) % 12]);
    const free = await sampler.sample(prompts, { max_tokens: 10, seed: 6 });
    const stop = [2, 7];
    const stopped = await sampler.sample(prompts, { max_tokens: 10, seed: 6, stop });
    const reasons = new Set<string>();
    for (const [i, { tokens, logprobs, stop_reason }] of stopped.entries()) {
      const whole = free[i]!;
      const end = whole.tokens.findIndex((token) => stop.includes(token));
      const length = end === -1 ? 10 : end + 1;
      expect(tokens).toEqual(whole.tokens.subarray(0, length));
      expect(worstDifference(logprobs, whole.logprobs.subarray(0, length))).toBeLessThan(LOGPROB_TOLERANCE);
      expect(stop_reason).toBe(end === -1 ? "length" : "stop");
      reasons.add(stop_reason);
    }
    expect(reasons.size).toBe(2);
    await tiny.close();
  });

  it("is one token away when that is all that is asked for", async () => {
    const drawn = await sampler.sample(PROMPTS, { max_tokens: 1, temperature: 0 });
    expect(drawn.map(({ tokens }) => tokens.length)).toEqual(PROMPTS.map(() => 1));
    expect(await sampler.sample([], { max_tokens: 1 })).toEqual([]);
  });

  it("lies where the model reads no further: the last token drawn need not be read", async () => {
    const tiny = await tinyModel();
    const sampler = await tiny.sampler();
    const prompt = Array.from({ length: 30 }, (_, i) => i % 12);
    const [drawn] = await sampler.sample([prompt, [1]], { max_tokens: 3, seed: 1 });
    const [logprobs] = await sampler.computeLogprobs([[...prompt, ...drawn!.tokens]]);
    expect(worstDifference(drawn!.logprobs, logprobs!.subarray(-3))).toBeLessThan(LOGPROB_TOLERANCE);
    expect(await complaint(() => sampler.sample([[1], prompt], { max_tokens: 4 }))).toBe(
      "prompt 1 has 30 tokens and max_tokens is 4, the model reads at most 32; ask for fewer.",
    );
    await tiny.close();
  });
});

describe("what is refused", () => {
  it.each([
    [[[1], []], {}, "prompt 1 is empty; give at least one token, such as the model's BOS."],
    [
      [[1, 320]],
      {},
      "prompt 0 holds token 320, expected a token id from 0 to 319; was it tokenized for another model?",
    ],
    [[[-1]], {}, "prompt 0 holds token -1, expected a token id from 0 to 319; was it tokenized for another model?"],
    [[[1.5]], {}, "prompt 0 holds token 1.5, expected a token id from 0 to 319; was it tokenized for another model?"],
    [[[1]], { max_tokens: 0 }, "max_tokens is 0, expected a whole number of at least 1."],
    [[[1]], { max_tokens: 2.5 }, "max_tokens is 2.5, expected a whole number of at least 1."],
    [[[1]], { temperature: -1 }, "temperature is -1, expected a finite number of at least 0; 0 is greedy."],
    [[[1]], { temperature: Number.NaN }, "temperature is NaN, expected a finite number of at least 0; 0 is greedy."],
  ])("%j %j", async (prompts, params, expected) => {
    expect(await complaint(() => sampler.sample(prompts, { max_tokens: 2, ...params }))).toBe(expected);
  });
});

describe("calls at once", () => {
  it("on one model, with and without adapters, give what they give one after the other, and it stays", async () => {
    // Few rows at once make many turns out of each call, between which the others could come.
    const model = await LocalModel.open(MODEL, { threads: 1, rowsAtOnce: 7 });
    const client = await model.trainingClient({ adapter: `${FIXTURE}adapter-init` });
    const other = await model.trainingClient({ adapter: `${FIXTURE}adapter-final-mr` });
    const sampler = client.sampler("current");
    const samplers = [sampler, await model.sampler(), other.sampler("current"), client.sampler("base")];
    const data = randomData([12, 5, 20], 320);
    const texts = PROMPTS.slice(1);
    const work = samplers.flatMap((each, seed) => [
      () => each.sample(PROMPTS, { max_tokens: 6, seed }),
      () => each.distributions(data),
      () => each.computeLogprobs(texts),
    ]);
    const expected: unknown[] = [];
    for (const each of work) expected.push(structuredClone(await each()));
    const [atOnce, training] = await Promise.all([
      Promise.all(work.map((each) => each())),
      addLikelihood(client, data),
    ]);
    expect(atOnce).toEqual(expected);
    const logprobs = await client.forward(data);
    for (const [i, found] of training.logprobs.entries()) {
      expect(worstDifference(found, logprobs[i]!.data)).toBeLessThan(LOGPROB_TOLERANCE);
    }
    // More work over the same memory does not reach into what was handed out.
    await sampler.distributions(randomData([30, 30], 320, 2));
    expect(atOnce).toEqual(expected);
    for (const [i, one] of atOnce.entries()) if (i >= 3) expect(one).not.toEqual(atOnce[i % 3]);
    for (const each of [client, other, model]) await each.close();
  });

  it("a text is drawn from the weights of one moment: an update waits for it", async () => {
    const fresh = await model.trainingClient({ adapter: `${FIXTURE}adapter-init` });
    const current = fresh.sampler("current");
    const params = { max_tokens: 20, seed: 4 };
    const before = await current.sample(PROMPTS, params);
    await addLikelihood(fresh, randomData([9, 4], 320));
    const adam = { learning_rate: 0.5, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };
    const drawing = current.sample(PROMPTS, params);
    // So that the drawing has begun.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const [during] = await Promise.all([drawing, fresh.optimStep(adam)]);
    expect(during).toEqual(before);
    expect(await current.sample(PROMPTS, params)).not.toEqual(before);
    await fresh.close();
  });
});

describe("requests side by side", () => {
  it("many of one sequence give what each gives alone, some long and some short, some asked later", async () => {
    const requests = Array.from({ length: 70 }, (_, i) => ({
      prompt: PROMPTS[i % PROMPTS.length]!,
      params: { max_tokens: 1 + ((i * 7) % 23), temperature: i % 2, seed: i },
    }));
    const alone = [];
    for (const { prompt, params } of requests) alone.push((await sampler.sample([prompt], params))[0]!);
    const together = await Promise.all(
      requests.map(async ({ prompt, params }, i) => {
        if (i % 3 === 2) await new Promise((resolve) => setTimeout(resolve, i));
        return (await sampler.sample([prompt], params))[0]!;
      }),
    );
    for (const [i, { tokens, logprobs }] of together.entries()) {
      expect(tokens, `request ${i}`).toEqual(alone[i]!.tokens);
      expect(worstDifference(logprobs, alone[i]!.logprobs)).toBeLessThan(LOGPROB_TOLERANCE);
    }
  });

  it("an update waits for what is being drawn, and what is asked while it waits sees the weights after it", async () => {
    const tiny = await tinyModel();
    const training = await tiny.trainingClient({ rank: 2 });
    const current = training.sampler("current");
    const params = { max_tokens: 6, temperature: 0 };
    await addLikelihood(training, randomData([9, 9], 12));
    const before = current.sample([[1, 2]], params);
    const adam = { learning_rate: 1, beta1: 0.9, beta2: 0.99, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };
    const update = training.optimStep(adam);
    await new Promise((resolve) => setTimeout(resolve, 0));
    const after = current.sample([[1, 2]], params);
    await update;
    expect(await after).toEqual(await current.sample([[1, 2]], params));
    expect(await before).toEqual(await training.sampler("base").sample([[1, 2]], params));
    expect((await after)[0]!.logprobs).not.toEqual((await before)[0]!.logprobs);
    await training.close();
    await tiny.close();
  });

  it("never draws an id that the folder's tokenizer does not have", async () => {
    const folder = temporaryFolder();
    for (const file of ["config.json", "model.safetensors"]) cpSync(join(MODEL, file), join(folder, file));
    const vocab = Object.fromEntries(Array.from({ length: 20 }, (_, id) => [`t${id}`, id]));
    const added_tokens = [{ id: 30, content: "<|end|>" }];
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify({ model: { type: "BPE", vocab }, added_tokens }));
    // A token that the settings alone declare gets the next id.
    const settings = { added_tokens_decoder: { 31: { content: "<|turn|>" } } };
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(settings));
    const cut = await LocalModel.open(folder, { threads: 1 });
    const drawn = await (await cut.sampler()).sample(PROMPTS, { max_tokens: 40, temperature: 3, seed: 2 });
    const ids = new Set(drawn.flatMap(({ tokens }) => [...tokens]));
    expect([...ids].every((id) => id < 20 || id === 30 || id === 31)).toBe(true);
    expect(ids.size).toBe(22);
    await cut.close();
  });
});
