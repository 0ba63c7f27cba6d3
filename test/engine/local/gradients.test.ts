import { describe, expect, it } from "vitest";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import type { LocalClient } from "../../../src/engine/local/client.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { Span } from "../../../src/loss/contract.ts";
import { crossEntropyLoss } from "../../../src/loss/cross-entropy.ts";
import { backward } from "../../../src/model/backward.ts";
import { baseReference } from "../../../src/reference/base.ts";
import { compose } from "../../../src/regularizer/compose.ts";
import { compute } from "../../../src/regularizer/compute.ts";
import { KLDivergence, type KLDivergenceOptions } from "../../../src/regularizer/kl-divergence.ts";
import { FIXTURE, MODEL, openFixture } from "./fixture.ts";
import {
  addLikelihood,
  clearGradient,
  gradientError,
  gradientOf,
  likelihoodOf,
  norm,
  randomData,
  relativeDistance,
  tinyModel,
} from "./models.ts";

const DATA = randomData([6, 11, 3], 320);
/** Steps of this share of a matrix' norm; where float32's noise and the curvature are both small. */
const STEP = 0.02;
/** Relative to the gradient's norm. */
const TOLERANCE = 1e-3;

const { model, base, client } = await openFixture();

/** Σ w·|log p − old|² / 2 + exp(log p − old) of some positions: its derivative differs from position to position. */
function bent(spans: readonly Span[], logprobs: readonly Tensor[], gradient?: readonly Tensor[]): number {
  const old = -5;
  let loss = 0;
  for (const [i, { index, from }] of spans.entries()) {
    for (const [row, logprob] of logprobs[i]!.data.entries()) {
      const weight = DATA[index]!.lossInputs.weights.data[from + row]!;
      const x = logprob - old;
      loss += weight * (x ** 2 / 2 + Math.exp(x));
      if (gradient) gradient[i]!.data[row]! += weight * (x + Math.exp(x));
    }
  }
  return loss;
}

const WHOLE = DATA.map(({ modelInput }, index) => ({ index, from: 0, to: modelInput.length }));

async function expectFiniteDifferences(on: LocalClient, loss: () => Promise<number>): Promise<void> {
  for (const [name, { data, gradient }] of on.parameters) {
    expect(norm(gradient), name).toBeGreaterThan(0);
    const h = (STEP * norm(data)) / (1 + Number(name.includes("lora_A")));
    expect(await gradientError(data, gradient.slice(), h, loss), name).toBeLessThan(TOLERANCE);
  }
}

describe("log-probabilities", () => {
  it("are the same from forward, forwardBackward, distributions and computeLogprobs", async () => {
    const logprobs = await client.forward(DATA);
    const { loss, logprobs: ofBackward } = await addLikelihood(client, DATA);
    const distributions = await client.sampler("current").distributions(DATA);
    expect(loss).toBeCloseTo(likelihoodOf(DATA, logprobs), 4);
    for (const [i, { lossInputs, modelInput }] of DATA.entries()) {
      const targets = [...lossInputs.target_tokens.data];
      const gathered = targets.map((token, row) => distributions[i]!.data[row * 320 + token]!);
      expect([...logprobs[i]!.data]).toEqual(gathered);
      for (const [row, logprob] of gathered.entries()) expect(ofBackward[i]![row]).toBeCloseTo(logprob, 5);
      const sequence = [...modelInput];
      const [each] = await client.sampler("current").computeLogprobs([sequence]);
      expect(each![0]).toBeNaN();
      for (const [at, token] of sequence.entries()) {
        if (at > 0) expect(each![at]).toBeCloseTo(distributions[i]!.data[(at - 1) * 320 + token]!, 5);
      }
    }
  });

  it("of a token alone: nothing to predict, also between others", async () => {
    const found = await base.computeLogprobs([[5], [5, 6, 7], Int32Array.of(9)]);
    expect(found.map(({ length }) => length)).toEqual([1, 3, 1]);
    expect(found[0]![0]).toBeNaN();
    const [expected] = await base.computeLogprobs([[5, 6, 7]]);
    expect(found[1]).toEqual(expected);
  });
});

describe("a loss of one's own", () => {
  it("has the same gradient over targets as over whole distributions", async () => {
    clearGradient(client);
    const { loss } = await addLikelihood(client, DATA);
    const expected = gradientOf(client);
    expect(norm(expected)).toBeGreaterThan(1);

    clearGradient(client);
    let found = 0;
    await client.vocabulary.forwardBackward(DATA, ({ spans, logprobs }, { gradient }) => {
      for (const [i, { index, from }] of spans.entries()) {
        const { target_tokens, weights } = DATA[index]!.lossInputs;
        const { data } = logprobs[i]!;
        for (const [k, logprob] of data.entries()) {
          gradient[i]!.data[k]! += weights.data[from + Math.floor(k / 320)]! * Math.exp(logprob);
        }
        for (let row = 0; row < data.length / 320; row++) {
          const at = row * 320 + target_tokens.data[from + row]!;
          gradient[i]!.data[at]! -= weights.data[from + row]!;
          found -= weights.data[from + row]! * data[at]!;
        }
      }
    });
    expect(found / loss).toBeCloseTo(1, 6);
    expect(relativeDistance(gradientOf(client), expected)).toBeLessThan(1e-6);
  });

  it("that takes either has the same value and gradient both ways, by the kernel and without", async () => {
    clearGradient(client);
    const whole = await backward(client, DATA, crossEntropyLoss({ reduction: "sum" }));
    const expected = gradientOf(client);
    clearGradient(client);
    const { loss } = await addLikelihood(client, DATA);
    expect(whole.value / loss).toBeCloseTo(1, 6);
    expect(relativeDistance(gradientOf(client), expected)).toBeLessThan(1e-6);
  });

  it("over the target tokens: its gradient is that of finite differences", async () => {
    clearGradient(client);
    let value = 0;
    await client.forwardBackward(DATA, ({ spans, logprobs }, { gradient }) => {
      value += bent(spans, logprobs, gradient);
    });
    const measure = async () => bent(WHOLE, await client.forward(DATA));
    expect(value / (await measure())).toBeCloseTo(1, 6);
    await expectFiniteDifferences(client, measure);
  });

  it("may fail: its error comes through, and the next call is as ever", async () => {
    clearGradient(client);
    await addLikelihood(client, DATA);
    const expected = gradientOf(client);
    clearGradient(client);
    const [failed, next] = await Promise.allSettled([
      client.forwardBackward(DATA, (_, { gradient }) => {
        gradient[0]!.data.fill(1);
        throw new Error("no luck");
      }),
      addLikelihood(client, DATA),
    ]);
    expect(failed).toMatchObject({ status: "rejected", reason: { message: "no luck" } });
    expect(next.status).toBe("fulfilled");
    expect(gradientOf(client)).toEqual(expected);
  });
});

describe("calls made at once", () => {
  it("take their turns: gradients add up, and an update waits for the passes before it", async () => {
    clearGradient(client);
    await addLikelihood(client, [DATA[0]!]);
    await addLikelihood(client, [DATA[1]!]);
    const expected = gradientOf(client);
    clearGradient(client);
    const [one, other] = await Promise.all([
      addLikelihood(client, [DATA[0]!]),
      addLikelihood(client, [DATA[1]!]),
      client.sampler("current").distributions(DATA),
    ]);
    expect(gradientOf(client)).toEqual(expected);
    const logprobs = await client.forward(DATA);
    for (const [i, out] of [one, other].entries()) {
      for (const [row, logprob] of out.logprobs[0]!.entries()) {
        expect(logprob).toBeCloseTo(logprobs[i]!.data[row]!, 5);
      }
    }
    clearGradient(client);
    const still = { learning_rate: 0, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };
    const [, , { grad_norm }] = await Promise.all([
      addLikelihood(client, [DATA[0]!]),
      addLikelihood(client, [DATA[1]!]),
      client.optimStep(still),
    ]);
    expect(grad_norm / norm(expected)).toBeCloseTo(1, 6);
  });
});

describe("the KL to the base", () => {
  const ways: [string, KLDivergenceOptions][] = [
    ["KL(model‖reference)", { direction: "model||reference" }],
    ["KL(reference‖model)", { direction: "reference||model" }],
    ["Jensen–Shannon", { symmetric: true }],
  ];
  const klOf = (options: KLDivergenceOptions) => new KLDivergence({ ...options, reference: baseReference(base) });

  /** The regularizer's own loss, without a gradient: what the model's weights make of it now. */
  async function value(on: LocalClient, options: KLDivergenceOptions) {
    return (await compute(klOf(options), DATA, await on.sampler("current").distributions(DATA))).loss;
  }

  function add(on: LocalClient, options: KLDivergenceOptions) {
    clearGradient(on);
    return backward(on, DATA, klOf(options));
  }

  it.each(ways)(
    "%s away from it: positive, and its gradient on every LoRA matrix is that of finite differences",
    async (_, options) => {
      const { value: loss, metrics } = await add(client, options);
      expect(loss).toBeGreaterThan(1e-3);
      expect(metrics.kl_max!).toBeGreaterThan(metrics.kl_min!);
      expect(loss / (await value(client, options))).toBeCloseTo(1, 5);
      await expectFiniteDifferences(client, () => value(client, options));
    },
  );

  it.each(ways)("%s at the base, B = 0: exactly 0, and so is its gradient", async (_, options) => {
    const fresh = await model.trainingClient({ adapter: `${FIXTURE}adapter-zero` });
    const { value: loss, metrics } = await add(fresh, options);
    expect([loss, metrics.kl_max, metrics.kl_min]).toEqual([0, 0, 0]);
    expect(norm(gradientOf(fresh))).toBe(0);
    expect(await value(fresh, options)).toBe(0);
    await fresh.close();
  });

  it("in a composition, in parts: the weighted sum of both gradients", async () => {
    const small = await LocalModel.open(MODEL, { threads: 1, rowsAtOnce: 4 });
    const on = await small.trainingClient({ adapter: `${FIXTURE}adapter-init` });
    const reference = baseReference(await small.sampler());
    const both = compose([
      { regularizer: new KLDivergence({ name: "there", direction: "model||reference", reference }), weight: 0.3 },
      { regularizer: new KLDivergence({ name: "back", direction: "reference||model", reference }), weight: 2 },
    ]);
    clearGradient(on);
    const { value: loss } = await backward(on, DATA, both);
    const there = await add(client, { direction: "model||reference" });
    const forward = gradientOf(client);
    const back = await add(client, { direction: "reference||model" });
    const reverse = gradientOf(client);
    expect(loss / (0.3 * there.value + 2 * back.value)).toBeCloseTo(1, 5);
    expect(
      relativeDistance(
        gradientOf(on),
        forward.map((g, i) => 0.3 * g + 2 * reverse[i]!),
      ),
    ).toBeLessThan(1e-5);
    await on.close();
    await small.close();
  });
});

describe("training every weight", () => {
  const data = randomData([5, 9], 12, 3);

  it.each([true, false])("tied head %s: the gradient of each is that of finite differences", async (tied) => {
    const tiny = await tinyModel({ tied });
    const all = await tiny.pretrainingClient();
    expect(all.parameters.has("lm_head.weight")).toBe(!tied);
    await addLikelihood(all, data);
    const loss = async () => likelihoodOf(data, await all.forward(data));
    for (const [name, { data: weights, gradient }] of all.parameters) {
      expect(norm(gradient), name).toBeGreaterThan(0);
      // This model is bent more sharply than the other, and its few numbers are less noisy.
      expect(await gradientError(weights, gradient.slice(), 0.002, loss), name).toBeLessThan(TOLERANCE);
    }
    await all.close();
    await tiny.close();
  });

  it("a tied head's gradient is the sum of the head's and the embeddings'", async () => {
    const [tied, apart] = [await tinyModel({ tied: true }), await tinyModel({ tied: false })];
    const [one, two] = [await tied.pretrainingClient(), await apart.pretrainingClient()];
    for (const [name, { data: weights }] of two.parameters) {
      weights.set(one.parameters.get(name === "lm_head.weight" ? "model.embed_tokens.weight" : name)!.data);
    }
    for (const client of [one, two]) await addLikelihood(client, data);
    const { gradient: embeddings } = two.parameters.get("model.embed_tokens.weight")!;
    const { gradient: head } = two.parameters.get("lm_head.weight")!;
    expect(norm(embeddings)).toBeGreaterThan(0.1);
    const sum = embeddings.map((g, i) => g + head[i]!);
    expect(relativeDistance(one.parameters.get("model.embed_tokens.weight")!.gradient, sum)).toBeLessThan(1e-6);
    for (const client of [one, two]) await client.close();
    for (const model of [tied, apart]) await model.close();
  });

  it("learns a text by heart", async () => {
    const tiny = await tinyModel({ tied: true });
    const all = await tiny.pretrainingClient();
    const before = likelihoodOf(data, await all.forward(data));
    for (let step = 0; step < 30; step++) {
      await backward(all, data, crossEntropyLoss({ reduction: "sum" }));
      await all.optimStep({
        learning_rate: 0.02,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        weight_decay: 0,
        grad_clip_norm: 1,
      });
    }
    // The model itself has changed: its own sampler sees it.
    const logprobs = await all.forward(data);
    expect(likelihoodOf(data, logprobs)).toBeLessThan(before / 3);
    const rows = await (await tiny.sampler()).distributions(data);
    expect(rows[0]!.data[data[0]!.lossInputs.target_tokens.data[0]!]).toBe(logprobs[0]!.data[0]);
    await all.close();
    await tiny.close();
  });
});
