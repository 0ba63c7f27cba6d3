import { describe, expect, it } from "vitest";
import { type Datum, totalWeight } from "../../../src/data/datum.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { LocalTrainingClient } from "../../../src/engine/local/training-client.ts";
import type { CustomLoss, SamplingClient } from "../../../src/model/legacy.ts";
import { baseReference } from "../../../src/reference/base.ts";
import { compose } from "../../../src/regularizer/compose.ts";
import { KLDivergence, type KLDivergenceOptions } from "../../../src/regularizer/kl-divergence.ts";
import { complaint } from "../../data/folders.ts";
import { FIXTURE, MODEL, openFixture } from "./fixture.ts";
import { clearGradient, gradientError, gradientOf, norm, randomData, relativeDistance, tinyModel } from "./models.ts";

const DATA = randomData([6, 11, 3], 320);
/** Steps of this share of a matrix' norm; where float32's noise and the curvature are both small. */
const STEP = 0.02;
/** Relative to the gradient's norm. */
const TOLERANCE = 1e-3;

const { model, client } = await openFixture();

/** Σ w·|log p − old|² / 2 + exp(log p − old): bent, so that its slope differs from row to row. */
function bent(data: readonly Datum[], logprobs: readonly { data: Float32Array; shape: readonly number[] }[]) {
  const old = -5;
  let loss = 0;
  const gradient = logprobs.map((rows, i) => ({
    shape: rows.shape,
    data: rows.data.map((logprob, row) => {
      const weight = data[i]!.lossInputs.weights.data[row]!;
      const x = logprob - old;
      loss += weight * (x ** 2 / 2 + Math.exp(x));
      return weight * (x + Math.exp(x));
    }),
  }));
  return { loss, gradient, metrics: {} };
}

async function expectFiniteDifferences(on: LocalTrainingClient, loss: () => Promise<number>): Promise<void> {
  for (const [name, { data, gradient }] of on.parameters) {
    expect(norm(gradient), name).toBeGreaterThan(0);
    const h = (STEP * norm(data)) / (1 + Number(name.includes("lora_A")));
    expect(await gradientError(data, gradient.slice(), h, loss), name).toBeLessThan(TOLERANCE);
  }
}

describe("log-probabilities", () => {
  it("are the same from forward, forwardBackward, distributions and computeLogprobs", async () => {
    const { logprobs, metrics } = await client.forward(DATA);
    const backward = await client.forwardBackward(DATA);
    const distributions = await client.sampler("current").distributions(DATA);
    expect(backward.metrics["loss:sum"]).toBeCloseTo(metrics["loss:sum"]!, 4);
    let negative = 0;
    for (const [i, { lossInputs, modelInput }] of DATA.entries()) {
      const targets = [...lossInputs.target_tokens.data];
      const gathered = targets.map((token, row) => distributions[i]!.data[row * 320 + token]!);
      expect([...logprobs[i]!.data]).toEqual(gathered);
      for (const [row, logprob] of gathered.entries()) {
        expect(backward.logprobs[i]!.data[row]).toBeCloseTo(logprob, 5);
        negative -= lossInputs.weights.data[row]! * logprob;
      }
      const sequence = [...modelInput];
      const [each] = await client.sampler("current").computeLogprobs([sequence]);
      expect(each![0]).toBeNaN();
      for (const [at, token] of sequence.entries()) {
        if (at > 0) expect(each![at]).toBeCloseTo(distributions[i]!.data[(at - 1) * 320 + token]!, 5);
      }
    }
    expect(metrics["loss:sum"]).toBeCloseTo(negative, 4);
  });

  it("of a token alone: nothing to predict, also between others", async () => {
    const found = await (await model.sampler()).computeLogprobs([[5], [5, 6, 7], Int32Array.of(9)]);
    expect(found.map(({ length }) => length)).toEqual([1, 3, 1]);
    expect(found[0]![0]).toBeNaN();
    const [expected] = await (await model.sampler()).computeLogprobs([[5, 6, 7]]);
    expect(found[1]).toEqual(expected);
  });
});

describe("a loss of one's own", () => {
  it("that is the negative log-likelihood gives forwardBackward's gradient, either way it is written", async () => {
    clearGradient(client);
    const { metrics } = await client.forwardBackward(DATA);
    const expected = gradientOf(client);
    const likelihood: CustomLoss[] = [
      {
        support: "sampled",
        compute: (data, logprobs) => ({
          loss: 0,
          gradient: logprobs.map(({ shape }, i) => ({
            shape,
            data: data[i]!.lossInputs.weights.data.map((w) => -w),
          })),
          metrics: {},
        }),
      },
      {
        support: "vocabulary",
        compute: (data, logprobs) => {
          let loss = 0;
          const gradient = logprobs.map(({ data: rows, shape }, i) => {
            const { target_tokens, weights } = data[i]!.lossInputs;
            const slope = rows.map((logprob, k) => weights.data[Math.floor(k / 320)]! * Math.exp(logprob));
            for (const [row, token] of target_tokens.data.entries()) {
              slope[row * 320 + token]! -= weights.data[row]!;
              loss -= weights.data[row]! * rows[row * 320 + token]!;
            }
            return { data: slope, shape };
          });
          return { loss, gradient, metrics: {} };
        },
      },
    ];
    for (const loss of likelihood) {
      clearGradient(client);
      const out = await client.forwardBackwardCustom(DATA, loss);
      if (loss.support === "vocabulary") expect(out.loss / metrics["loss:sum"]!).toBeCloseTo(1, 6);
      expect(relativeDistance(gradientOf(client), expected)).toBeLessThan(1e-6);
    }
  });

  it("over the target tokens: its gradient is that of finite differences", async () => {
    clearGradient(client);
    await client.forwardBackwardCustom(DATA, { support: "sampled", compute: bent });
    await expectFiniteDifferences(client, async () => bent(DATA, (await client.forward(DATA)).logprobs).loss);
  });

  it("whose gradient has another size is refused, with the datum", async () => {
    for (const support of ["sampled", "vocabulary"] as const) {
      const size = support === "sampled" ? 11 : 11 * 320;
      for (const [cut, found] of [
        [(data: Float32Array) => [{ data: data.subarray(1), shape: [data.length - 1] }], `${size - 1} numbers`],
        [() => [], "nothing"],
      ] as const) {
        const loss: CustomLoss = {
          support,
          compute: (_, logprobs) => ({ loss: 0, gradient: cut(logprobs[0]!.data), metrics: {} }),
        };
        expect(await complaint(() => client.forwardBackwardCustom([DATA[1]!], loss))).toBe(
          `the loss returned ${found} as the gradient of test.jsonl:2, expected ${size}: one for each number in its log-probabilities.`,
        );
      }
    }
  });

  it("may fail: its error comes through, and the next call is as ever", async () => {
    clearGradient(client);
    await client.forwardBackward(DATA);
    const expected = gradientOf(client);
    clearGradient(client);
    const failing: CustomLoss = {
      support: "sampled",
      compute: () => {
        throw new Error("no luck");
      },
    };
    const [failed, next] = await Promise.allSettled([
      client.forwardBackwardCustom(DATA, failing),
      client.forwardBackward(DATA),
    ]);
    expect(failed).toMatchObject({ status: "rejected", reason: { message: "no luck" } });
    expect(next.status).toBe("fulfilled");
    expect(gradientOf(client)).toEqual(expected);
  });
});

describe("calls made at once", () => {
  it("take their turns: gradients add up, and an update waits for the passes before it", async () => {
    clearGradient(client);
    await client.forwardBackward([DATA[0]!]);
    await client.forwardBackward([DATA[1]!]);
    const expected = gradientOf(client);
    clearGradient(client);
    const [one, other] = await Promise.all([
      client.forwardBackward([DATA[0]!]),
      client.forwardBackward([DATA[1]!]),
      client.sampler("current").distributions(DATA),
    ]);
    expect(gradientOf(client)).toEqual(expected);
    const { logprobs } = await client.forward(DATA);
    for (const [i, out] of [one, other].entries()) {
      for (const [row, logprob] of out.logprobs[0]!.data.entries()) {
        expect(logprob).toBeCloseTo(logprobs[i]!.data[row]!, 5);
      }
    }
    clearGradient(client);
    const still = { learning_rate: 0, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };
    const [, , { grad_norm }] = await Promise.all([
      client.forwardBackward([DATA[0]!]),
      client.forwardBackward([DATA[1]!]),
      client.optimStep(still),
    ]);
    expect(grad_norm / norm(expected)).toBeCloseTo(1, 6);
  });
});

describe("the KL to the base", () => {
  const ways: [string, KLDivergenceOptions][] = [
    ["KL(model‖reference)", { direction: "forward" }],
    ["KL(reference‖model)", { direction: "reverse" }],
    ["Jensen–Shannon", { symmetric: true }],
  ];

  /** The regularizer's own loss, without a gradient: what the model's weights make of it now. */
  async function value(on: LocalTrainingClient, options: KLDivergenceOptions, base: SamplingClient) {
    const kl = new KLDivergence({ ...options, reference: baseReference(base) });
    return (await kl.compute(DATA, await on.sampler("current").distributions(DATA))).loss;
  }

  async function backward(on: LocalTrainingClient, options: KLDivergenceOptions, base: SamplingClient) {
    const regularizer = new KLDivergence({ ...options, reference: baseReference(base) });
    clearGradient(on);
    return on.forwardBackwardCustom(DATA, {
      support: "vocabulary",
      compute: (data, logprobs) => regularizer.compute(data, logprobs, { totalWeight: totalWeight(DATA) }),
    });
  }

  it.each(ways)(
    "%s away from it: positive, and its gradient on every LoRA matrix is that of finite differences",
    async (_, options) => {
      const base = await model.sampler();
      const { loss, metrics } = await backward(client, options, base);
      expect(loss).toBeGreaterThan(1e-3);
      expect(metrics.kl_max!).toBeGreaterThan(metrics.kl_min!);
      expect(loss / (await value(client, options, base))).toBeCloseTo(1, 5);
      await expectFiniteDifferences(client, () => value(client, options, base));
    },
  );

  it.each(ways)("%s at the base, B = 0: exactly 0, and so is its gradient", async (_, options) => {
    const fresh = await model.trainingClient({ adapter: `${FIXTURE}adapter-zero` });
    const { loss, metrics } = await backward(fresh, options, await model.sampler());
    expect([loss, metrics.kl_max, metrics.kl_min]).toEqual([0, 0, 0]);
    expect(norm(gradientOf(fresh))).toBe(0);
    expect(await value(fresh, options, await model.sampler())).toBe(0);
    await fresh.close();
  });

  it("in a composition, in parts: the weighted sum of both gradients", async () => {
    const small = await LocalModel.open(MODEL, { threads: 1, rowsAtOnce: 4 });
    const on = await small.trainingClient({ adapter: `${FIXTURE}adapter-init` });
    const reference = baseReference(await small.sampler());
    const members = [
      { regularizer: new KLDivergence({ name: "there", direction: "forward", reference }), weight: 0.3 },
      { regularizer: new KLDivergence({ name: "back", direction: "reverse", reference }), weight: 2 },
    ];
    clearGradient(on);
    const both = compose(members);
    const options = { totalWeight: totalWeight(DATA) };
    const { metrics } = await on.forwardBackwardCustom(DATA, {
      support: "vocabulary",
      compute: (data, logprobs) => both.compute(data, logprobs, options),
    });
    const there = await backward(client, { direction: "forward" }, await model.sampler());
    const forward = gradientOf(client);
    const back = await backward(client, { direction: "reverse" }, await model.sampler());
    const reverse = gradientOf(client);
    expect(
      relativeDistance(
        gradientOf(on),
        forward.map((g, i) => 0.3 * g + 2 * reverse[i]!),
      ),
    ).toBeLessThan(1e-5);
    for (const [name, { metrics: alone }] of Object.entries({ there, back })) {
      expect(metrics[`${name}/kl_divergence`]! / alone.kl_divergence!).toBeCloseTo(1, 5);
      expect(metrics[`${name}/kl_max`]! / alone.kl_max!).toBeCloseTo(1, 5);
      expect(metrics[`${name}/kl_min`]! / alone.kl_min!).toBeCloseTo(1, 4);
    }
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
    await all.forwardBackward(data);
    const loss = async () => (await all.forward(data)).metrics["loss:sum"]!;
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
    for (const client of [one, two]) await client.forwardBackward(data);
    const { gradient: embeddings } = two.parameters.get("model.embed_tokens.weight")!;
    const { gradient: head } = two.parameters.get("lm_head.weight")!;
    expect(norm(embeddings)).toBeGreaterThan(0.1);
    const sum = embeddings.map((g, i) => g + head[i]!);
    expect(relativeDistance(one.parameters.get("model.embed_tokens.weight")!.gradient, sum)).toBeLessThan(1e-6);
    for (const client of [one, two]) await client.close();
    for (const model of [tied, apart]) await model.close();
  });

  it("learns a text by heart, and there is no adapter to save", async () => {
    const tiny = await tinyModel({ tied: true });
    const all = await tiny.pretrainingClient();
    const before = (await all.forward(data)).metrics["loss:sum"]!;
    for (let step = 0; step < 30; step++) {
      await all.forwardBackward(data);
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
    const { logprobs, metrics } = await all.forward(data);
    expect(metrics["loss:sum"]!).toBeLessThan(before / 3);
    const rows = await (await tiny.sampler()).distributions(data);
    expect(rows[0]!.data[data[0]!.lossInputs.target_tokens.data[0]!]).toBe(logprobs[0]!.data[0]);
    expect(await complaint(() => all.saveAdapter("/nowhere"))).toContain("there is no adapter to save");
    await all.close();
    await tiny.close();
  });
});
