import { describe, expect, it } from "vitest";
import type { Datum } from "../../../src/data/datum.ts";
import { splitBatches } from "../../../src/engine/local/batch.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import { backward } from "../../../src/model/backward.ts";
import { complaint } from "../../data/folders.ts";
import { FIXTURE, MODEL, openFixture, plainLoss } from "./fixture.ts";
import {
  addLikelihood,
  clearGradient,
  gradientOf,
  norm,
  randomData,
  relativeDistance,
  reweighted,
  tinyModel,
  worstDifference,
} from "./models.ts";

/** Sums in another order differ by float32's rounding, about 1e-7 an operation: log-probabilities by nats, gradients by norm. */
const LOGPROB_TOLERANCE = 1e-5;
const GRADIENT_TOLERANCE = 1e-5;
const DATA = randomData([3, 30, 9, 17, 1, 9], 320);

const { model, base, client } = await openFixture();

async function pass(data: readonly Datum[], on = client) {
  clearGradient(on);
  const { loss, logprobs } = await addLikelihood(on, data);
  return { loss, logprobs, gradient: gradientOf(on) };
}

describe("company and padding change nothing", () => {
  it("a batch in any order gives the sum of what its data give alone", async () => {
    const alone = [];
    for (const datum of DATA) alone.push(await pass([datum]));
    const loss = alone.reduce((sum, each) => sum + each.loss, 0);
    const gradient = alone.reduce(
      (sum, each) => sum.map((g, i) => g + each.gradient[i]!),
      new Float64Array(alone[0]!.gradient.length),
    );
    expect(norm(gradient)).toBeGreaterThan(1);
    for (const order of [
      [0, 1, 2, 3, 4, 5],
      [5, 4, 3, 2, 1, 0],
      [2, 0, 5, 3, 1, 4],
    ]) {
      const together = await pass(order.map((i) => DATA[i]!));
      for (const [place, i] of order.entries()) {
        expect(worstDifference(together.logprobs[place]!, alone[i]!.logprobs[0]!)).toBeLessThan(LOGPROB_TOLERANCE);
      }
      expect(together.loss / loss).toBeCloseTo(1, 6);
      expect(relativeDistance(together.gradient, gradient)).toBeLessThan(GRADIENT_TOLERANCE);
    }
  });

  it("the same datum twice counts twice", async () => {
    const [once, twice] = [await pass([DATA[3]!]), await pass([DATA[3]!, DATA[3]!])];
    expect(twice.loss / once.loss).toBeCloseTo(2, 6);
    expect(
      relativeDistance(
        twice.gradient,
        once.gradient.map((g) => 2 * g),
      ),
    ).toBeLessThan(GRADIENT_TOLERANCE);
  });

  it("however much is computed at once: positions in chunks, a datum in several spans, few tokens", async () => {
    const whole = await pass(DATA);
    clearGradient(client);
    const custom = await backward(client, DATA, plainLoss(base, "model||reference"));
    const customGradient = gradientOf(client);
    const distributions = await base.distributions(DATA);
    for (const limits of [
      { rowsAtOnce: 1 },
      { rowsAtOnce: 7 },
      { rowsAtOnce: 30 },
      { tokensAtOnce: 1 },
      { tokensAtOnce: 20 },
      { rowsAtOnce: 4, tokensAtOnce: 40 },
    ]) {
      const other = await LocalModel.open(MODEL, { threads: 1, ...limits });
      const otherClient = await other.trainingClient({ adapter: `${FIXTURE}adapter-init` });
      const otherBase = otherClient.sampler("base");
      const found = await pass(DATA, otherClient);
      for (const [i, logprobs] of found.logprobs.entries()) {
        expect(worstDifference(logprobs, whole.logprobs[i]!)).toBeLessThan(LOGPROB_TOLERANCE);
      }
      expect(found.loss / whole.loss).toBeCloseTo(1, 6);
      expect(relativeDistance(found.gradient, whole.gradient)).toBeLessThan(GRADIENT_TOLERANCE);

      clearGradient(otherClient);
      const { value, metrics } = await backward(otherClient, DATA, plainLoss(otherBase, "model||reference"));
      expect(value / custom.value).toBeCloseTo(1, 5);
      expect(metrics.kl_divergence! / custom.metrics.kl_divergence!).toBeCloseTo(1, 5);
      expect(relativeDistance(gradientOf(otherClient), customGradient)).toBeLessThan(GRADIENT_TOLERANCE);
      for (const [i, { data, shape }] of (await otherBase.distributions(DATA)).entries()) {
        expect(shape).toEqual(distributions[i]!.shape);
        expect(worstDifference(data, distributions[i]!.data)).toBeLessThan(LOGPROB_TOLERANCE);
      }
      await otherClient.close();
      await other.close();
    }
  });

  it("no more tokens go through at once than allowed, padding included, but for a datum that is longer alone", () => {
    for (const limit of [1, 9, 20, 60, 1000]) {
      const batches = splitBatches(DATA, model.config, limit);
      for (const { data, indices, length, tokens } of batches) {
        expect(tokens.length).toBe(data.length * length);
        expect(data).toEqual(indices.map((i) => DATA[i]));
        expect(length).toBe(Math.max(...data.map(({ modelInput }) => modelInput.length)));
        if (data.length > 1) expect(tokens.length).toBeLessThanOrEqual(limit);
      }
      expect(batches.flatMap(({ indices }) => indices).sort()).toEqual([...DATA.keys()]);
    }
    expect(splitBatches(DATA, model.config, 1000)).toHaveLength(1);
  });

  it.each(["targets", "vocabulary"] as const)(
    "a loss gets every position once, in zeroed memory, never more at once than allowed: %s",
    async (support) => {
      const small = await tinyModel({}, { rowsAtOnce: 5, tokensAtOnce: 24 });
      const smallClient = await small.trainingClient();
      // One text twice: spans tell the two apart.
      const [first, ...others] = randomData([3, 12, 7, 5], 12);
      const data = [first!, ...others, first!];
      const expected = await smallClient.forward(data);
      const seen = data.map(() => [] as number[]);
      let parts = 0;
      const on = support === "targets" ? smallClient : smallClient.vocabulary;
      await on.forwardBackward(data, ({ spans, logprobs }, { gradient, scale }) => {
        parts++;
        expect(scale).toBe(1);
        expect(spans.reduce((rows, { from, to }) => rows + to - from, 0)).toBeLessThanOrEqual(5);
        for (const [i, { index, from, to }] of spans.entries()) {
          expect(logprobs[i]!.shape).toEqual(support === "targets" ? [to - from] : [to - from, 12]);
          expect(gradient[i]!.shape).toEqual(logprobs[i]!.shape);
          expect(gradient[i]!.data.every((g) => g === 0)).toBe(true);
          gradient[i]!.data.fill(1e-3);
          for (let position = from; position < to; position++) {
            const target = data[index]!.lossInputs.target_tokens.data[position]!;
            const at = support === "targets" ? position - from : (position - from) * 12 + target;
            expect(logprobs[i]!.data[at]).toBeCloseTo(expected[index]!.data[position]!, 5);
            seen[index]!.push(position);
          }
        }
      });
      expect(parts).toBeGreaterThanOrEqual(6);
      for (const [i, { modelInput }] of data.entries()) expect(seen[i]).toEqual([...modelInput.keys()]);
      await smallClient.close();
      await small.close();
    },
  );
});

describe("positions", () => {
  const long = DATA[1]!;

  it("of weight 0 contribute nothing, whatever their targets; nor does what comes after the last that counts", async () => {
    const counted = reweighted(long, (row) => (row === 4 || row === 11 ? 1 : 0));
    const expected = await pass([counted]);
    const targets = long.lossInputs.target_tokens.data.map((token, row) => (row === 4 || row === 11 ? token : 0));
    const masked = {
      ...counted,
      modelInput: long.modelInput.map((token, at) => (at <= 11 ? token : 319 - token)),
      lossInputs: { ...counted.lossInputs, target_tokens: { data: targets, shape: [targets.length] } },
    };
    const found = await pass([masked]);
    expect(found.loss).toBe(expected.loss);
    expect(found.gradient).toEqual(expected.gradient);
    expect(expected.loss).toBeCloseTo(-expected.logprobs[0]![4]! - expected.logprobs[0]![11]!, 5);
  });

  it("all of weight 0: a loss and a gradient of exactly 0", async () => {
    const masked = DATA.map((datum) => reweighted(datum, () => 0));
    const { loss, gradient } = await pass(masked);
    expect(loss).toBe(0);
    expect(gradient.every((g) => g === 0)).toBe(true);
    clearGradient(client);
    await client.vocabulary.forwardBackward(masked, () => {});
    expect(norm(gradientOf(client))).toBe(0);
  });

  it("no data at all: nothing", async () => {
    const { loss, gradient, logprobs } = await pass([]);
    expect([loss, norm(gradient), logprobs]).toEqual([0, 0, []]);
    expect(await base.distributions([])).toEqual([]);
  });

  it("that are given are those of the whole datum, in any order, also the same one twice", async () => {
    const positions = [20, 4, 4, 11];
    const targets = [7, 8, 9, 10];
    const weights = [1, 0.5, -2, 1.5];
    const shape = [4];
    const datum: Datum = {
      modelInput: long.modelInput,
      lossInputs: {
        target_tokens: { data: Int32Array.from(targets), shape },
        weights: { data: Float32Array.from(weights), shape },
        positions: { data: Int32Array.from(positions), shape },
      },
    };
    const found = await pass([DATA[2]!, datum]);
    const expected = { loss: 0, gradient: new Float64Array(found.gradient.length) };
    const add = ({ loss, gradient }: { loss: number; gradient: Float64Array }) => {
      expected.loss += loss;
      for (let i = 0; i < gradient.length; i++) expected.gradient[i]! += gradient[i]!;
    };
    add(await pass([DATA[2]!]));
    for (const [i, at] of positions.entries()) {
      const one = reweighted(long, (row) => (row === at ? weights[i]! : 0));
      const ids = long.modelInput.map(() => targets[i]!);
      const alone = await pass([
        { ...one, lossInputs: { ...one.lossInputs, target_tokens: { data: ids, shape: [ids.length] } } },
      ]);
      expect(found.logprobs[1]![i]).toBeCloseTo(alone.logprobs[0]![at]!, 5);
      add(alone);
    }
    expect(found.loss).toBeCloseTo(expected.loss, 4);
    // A weight below 0, as linearized losses have it, counts as it is.
    const likelihood = found.logprobs[1]!.reduce((sum, logprob, i) => sum + weights[i]! * logprob, 0);
    expect(found.loss - (await pass([DATA[2]!])).loss).toBeCloseTo(-likelihood, 4);
    expect(relativeDistance(found.gradient, expected.gradient)).toBeLessThan(GRADIENT_TOLERANCE);
    const [rows] = await base.distributions([datum]);
    const [all] = await base.distributions([long]);
    const picked = positions.flatMap((at) => [...all!.data.subarray(at * 320, (at + 1) * 320)]);
    expect(rows!.shape).toEqual([4, 320]);
    expect(worstDifference(rows!.data, picked)).toBeLessThan(LOGPROB_TOLERANCE);
  });
});

describe("data that the model cannot read", () => {
  const datum = DATA[0]!;
  const shaped = (data: Int32Array) => ({ data, shape: [data.length] });
  const changed = (lossInputs: object): Datum => ({ ...datum, lossInputs: { ...datum.lossInputs, ...lossInputs } });

  it.each([
    ["no tokens", { ...randomData([0], 320)[0]!, source: "a:1" }, "a:1 has no tokens; a model needs at least one"],
    [
      "too many tokens",
      randomData([2049], 320)[0]!,
      "test.jsonl:1 has 2049 tokens, the model reads at most 2048; shorten or split it.",
    ],
    [
      "too few weights",
      changed({ weights: { data: new Float32Array(2), shape: [2] } }),
      "test.jsonl:1 has 3 target_tokens and 2 weights; give one weight per target.",
    ],
    [
      "too few rows",
      changed({ target_tokens: shaped(new Int32Array(2)), weights: { data: new Float32Array(2), shape: [2] } }),
      "test.jsonl:1 has 3 input tokens and 2 target_tokens; give one target per token, or positions.",
    ],
    [
      "positions outside",
      changed({ positions: shaped(Int32Array.of(0, 1, 3)) }),
      "test.jsonl:1 needs 3 positions within 0 to 2, found [0, 1, 3].",
    ],
    [
      "tokens of another vocabulary",
      { ...datum, modelInput: Int32Array.of(1, 320, 2) },
      "test.jsonl:1 holds token 320, the model's vocabulary has 320; was it tokenized for another model?",
    ],
    [
      "a target of another vocabulary",
      changed({ target_tokens: shaped(Int32Array.of(1, -1, 2)) }),
      "test.jsonl:1 holds token -1, the model's vocabulary has 320; was it tokenized for another model?",
    ],
  ])("%s", async (_, bad, expected) => {
    expect(await complaint(() => addLikelihood(client, [DATA[1]!, bad]))).toContain(expected);
    expect(await complaint(() => base.distributions([bad]))).toContain(expected);
  });

  it("names a datum without a source by its place", async () => {
    const { source, ...bare } = randomData([0], 320)[0]!;
    expect(source).toBeDefined();
    expect(await complaint(() => client.forward([datum, bare]))).toContain("datum 1 has no tokens");
  });
});
