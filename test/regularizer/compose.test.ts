import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import type { Tensor } from "../../src/divergence/index.ts";
import {
  compose,
  crossEntropyLoss,
  KLDivergence,
  linearWeight,
  type Regularizer,
} from "../../src/regularizer/index.ts";
import { matrix } from "../divergence/oracle.ts";
import { datumOf } from "./datums.ts";
import { MODEL, REFERENCE } from "./two-datums.ts";

const DATA = [datumOf([1, 0.5], { targets: [2, 1] }), datumOf([2], { targets: [0], source: "train.jsonl:2" })];

const forward = new KLDivergence({ name: "forward", referenceLogprobs: REFERENCE });
const reverse = new KLDivergence({ name: "reverse", referenceLogprobs: REFERENCE, direction: "reverse" });

/** A regularizer of the simplest kind: it knows nothing of sums and hands out tensors of its own. */
function constant(name: string, loss: number, slope = loss): Regularizer {
  return {
    name,
    compute: async (_, logprobs) => ({
      loss,
      gradient: logprobs.map(({ data, shape }): Tensor => ({ data: new Float32Array(data.length).fill(slope), shape })),
      metrics: { seen: 1 },
    }),
  };
}

const flat = (gradient: readonly Tensor[]) => gradient.flatMap(({ data }) => [...data]);

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  found.forEach((x, i) => {
    expect(x).toBeCloseTo(expected[i]!, 6);
  });
}

describe("compose", () => {
  test("is the weighted sum of its members, gradient included: it is connected to training (fault 2)", async () => {
    const both = compose([
      { regularizer: forward, weight: 0.3 },
      { regularizer: constant("mine", 2), weight: 0.1 },
      { regularizer: reverse, weight: 1.5 },
    ]);
    const { loss, gradient, metrics } = await compute(both, DATA, MODEL);
    const [one, other] = [await compute(forward, DATA, MODEL), await compute(reverse, DATA, MODEL)];
    expect(loss).toBeCloseTo(0.3 * one.loss + 0.2 + 1.5 * other.loss, 12);
    const expected = flat(one.gradient).map((g, i) => 0.3 * g + 0.2 + 1.5 * flat(other.gradient)[i]!);
    expectClose(flat(gradient), expected);
    expect(metrics).toEqual({
      ...Object.fromEntries(Object.entries(one.metrics).map(([name, value]) => [`forward/${name}`, value])),
      ...{ "forward/value": one.loss, "forward/weight": 0.3, "forward/contribution": 0.3 * one.loss },
      ...{ "mine/seen": 1, "mine/value": 2, "mine/weight": 0.1, "mine/contribution": 0.2 },
      ...Object.fromEntries(Object.entries(other.metrics).map(([name, value]) => [`reverse/${name}`, value])),
      ...{ "reverse/value": other.loss, "reverse/weight": 1.5, "reverse/contribution": 1.5 * other.loss },
    });
  });

  test("of one with weight 1 is that one, and of none is nothing", async () => {
    const [alone, composed] = [
      await compute(forward, DATA, MODEL),
      await compute(compose([{ regularizer: forward, weight: 1 }]), DATA, MODEL),
    ];
    expect(composed.loss).toBe(alone.loss);
    expect(composed.gradient).toEqual(alone.gradient);
    const none = await compute(compose([]), DATA, MODEL);
    expect(none).toEqual({
      loss: 0,
      gradient: MODEL.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape })),
      metrics: {},
      rows: {},
    });
  });

  test("is itself a regularizer: weights multiply, names nest, parts add up", async () => {
    const inner = compose(
      [
        { regularizer: forward, weight: 0.5 },
        { regularizer: constant("mine", 1), weight: 2 },
      ],
      { name: "inner" },
    );
    const outer = compose([
      { regularizer: inner, weight: 0.1 },
      { regularizer: reverse, weight: 1 },
    ]);
    const flattened = compose([
      { regularizer: forward, weight: 0.05 },
      { regularizer: constant("mine", 1), weight: 0.2 },
      { regularizer: reverse, weight: 1 },
    ]);
    const [nested, plain] = [await compute(outer, DATA, MODEL), await compute(flattened, DATA, MODEL)];
    expect(nested.loss).toBeCloseTo(plain.loss, 12);
    expectClose(flat(nested.gradient), flat(plain.gradient));
    expect(Object.keys(nested.metrics)).toContain("inner/forward/kl_max");
  });

  test("weight 0 measures and does not train", async () => {
    const { loss, gradient, metrics } = await compute(
      compose([
        { regularizer: forward, weight: 0 },
        { regularizer: constant("mine", 3), weight: 0 },
      ]),
      DATA,
      MODEL,
    );
    expect(loss).toBe(0);
    expect(flat(gradient).every((g) => g === 0)).toBe(true);
    expect(metrics["forward/kl_divergence"]).toBeGreaterThan(0);
  });

  test("adds to the sum it is given, the task's gradient say, and to nothing else", async () => {
    const task = crossEntropyLoss(DATA, MODEL);
    const before = flat(task.gradient);
    const composed = compose([
      { regularizer: forward, weight: 0.3 },
      { regularizer: constant("mine", 1), weight: 1 },
    ]);
    const alone = flat((await compute(composed, DATA, MODEL)).gradient);
    const { gradient } = await compute(composed, DATA, MODEL, { addTo: { gradient: task.gradient, scale: 2 } });
    expect(gradient).toBe(task.gradient);
    expectClose(
      flat(task.gradient),
      before.map((g, i) => g + 2 * alone[i]!),
    );
  });

  test("members run at the same time", async () => {
    const waiting: (() => void)[] = [];
    const meeting = (name: string): Regularizer => ({
      name,
      compute: async (data, logprobs) => {
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          if (waiting.length === 2) for (const go of waiting) go();
        });
        return compute(constant(name, 1), data, logprobs);
      },
    });
    const { loss } = await compute(
      compose([
        { regularizer: meeting("a"), weight: 1 },
        { regularizer: meeting("b"), weight: 1 },
      ]),
      DATA,
      MODEL,
    );
    expect(loss).toBe(2);
  });

  test("a failing member names itself, and never counts as 0 (fault 8)", async () => {
    const failing = (cause: unknown): Regularizer => ({
      name: "failing",
      compute: () => {
        throw cause;
      },
    });
    const of = (regularizer: Regularizer) =>
      compute(
        compose([
          { regularizer: forward, weight: 1 },
          { regularizer, weight: 0.1 },
        ]),
        DATA,
        MODEL,
      );
    const bug = new TypeError("x is not a function");
    await expect(of(failing(bug))).rejects.toMatchObject({
      message: 'regularizer "failing": x is not a function',
      cause: bug,
      name: "Error",
    });
    await expect(of(failing(new UserError("no reference")))).rejects.toBeInstanceOf(UserError);
    await expect(of(constant("broken", Number.NaN))).rejects.toThrow(
      'regularizer "broken": its loss is NaN, expected a finite number',
    );
    await expect(of(constant("broken", Number.POSITIVE_INFINITY))).rejects.toThrow("its loss is Infinity");
    const short: Regularizer = {
      name: "short",
      compute: async () => ({ loss: 1, gradient: [MODEL[0]!], metrics: {} }),
    };
    await expect(of(short)).rejects.toThrow(
      'regularizer "short": its gradient holds [6] numbers per datum, expected [6, 3]',
    );
  });

  test("a failure comes out once the other members are done, and an end that was asked for as it is", async () => {
    let isDone = false;
    const slow = {
      ...constant("slow", 1),
      compute: async (...args: Parameters<Regularizer["compute"]>) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        isDone = true;
        return compute(constant("slow", 1), ...args);
      },
    };
    const controller = new AbortController();
    const ended = {
      name: "ended",
      compute: async () => {
        controller.abort("enough");
        throw controller.signal.reason;
      },
    };
    const both = compose([ended, slow].map((regularizer) => ({ regularizer, weight: 1 })));
    await expect(compute(both, DATA, MODEL, { signal: controller.signal })).rejects.toBe("enough");
    expect(isDone).toBe(true);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("a weight of %d is refused", (weight) => {
    expect(() => compose([{ regularizer: forward, weight }])).toThrow(UserError);
    expect(() => compose([{ regularizer: forward, weight }])).toThrow(
      `the weight of the regularizer "forward" is ${weight}`,
    );
  });

  describe("weights that move", () => {
    const ramp = linearWeight({ from: 0, to: 1, steps: 11 });

    test("are those of the step, in loss, gradient and metrics; the first step's where none is told", async () => {
      const composed = compose([{ regularizer: constant("mine", 2), weight: ramp }]);
      const { loss, gradient, metrics } = await compute(composed, DATA, MODEL, { step: 4 });
      expect(loss).toBeCloseTo(0.6, 12);
      for (const slope of flat(gradient)) expect(slope).toBeCloseTo(0.6, 6);
      expect(metrics).toMatchObject({ "mine/value": 2, "mine/weight": 0.3, "mine/contribution": 0.6 });
      expect((await compute(composed, DATA, MODEL)).loss).toBe(0);
    });

    test("hear once of their own regularizer's metrics, at any depth", () => {
      const heard: unknown[] = [];
      const listening = (at: string) => ({
        at: () => 1,
        observe: (step: number, measured: object) => void heard.push([at, step, measured]),
      });
      const inner = compose([{ regularizer: constant("mine", 1), weight: listening("inner") }], { name: "deep" });
      const outer = compose([
        { regularizer: inner, weight: listening("outer") },
        { regularizer: forward, weight: listening("forward") },
      ]);
      outer.observe?.(3, { "deep/mine/value": 1, "deep/value": 2, "forward/kl_divergence": 3, cross_entropy: 4 });
      expect(heard).toEqual([
        ["inner", 3, { value: 1 }],
        ["outer", 3, { "mine/value": 1, value: 2 }],
        ["forward", 3, { kl_divergence: 3 }],
      ]);
    });

    test("one that becomes negative or no number is refused in its step", async () => {
      const falling = compose([{ regularizer: constant("mine", 1), weight: { at: (step) => 1 - step } }]);
      await expect(compute(falling, DATA, MODEL, { step: 3 })).rejects.toThrow(
        'the weight of the regularizer "mine" is -2 in step 3, expected a finite number of at least 0',
      );
    });
  });

  describe("a full report", () => {
    const task = () => crossEntropyLoss(DATA, MODEL).gradient;
    const members = [
      { regularizer: forward, weight: 0.3 },
      { regularizer: constant("mine", 2), weight: 0 },
    ];

    test("measures each gradient by itself, whatever its weight, against the task's", async () => {
      const gradient = task();
      const before = flat(gradient);
      const own = flat((await compute(forward, DATA, MODEL)).gradient);
      const { metrics } = await compute(compose(members), DATA, MODEL, {
        addTo: { gradient, scale: 1 },
        report: { taskGradient: gradient },
      });
      const sum = (f: (i: number) => number) => own.reduce((sum, _, i) => sum + f(i), 0);
      expect(metrics["forward/logit_grad_square"]).toBeCloseTo(
        sum((i) => own[i]! ** 2),
        6,
      );
      expect(metrics["forward/task_grad_product"]).toBeCloseTo(
        sum((i) => own[i]! * before[i]!),
        6,
      );
      expect(metrics["mine/logit_grad_square"]).toBeCloseTo(4 * own.length, 6);
    });

    test("changes neither loss nor gradient", async () => {
      const [plain, reported] = await Promise.all(
        [{}, { report: {} }].map((more) => {
          const nested = compose([
            { regularizer: compose(members), weight: 2 },
            { regularizer: reverse, weight: 1 },
          ]);
          return compute(nested, DATA, MODEL, { addTo: { gradient: task(), scale: 0.5 }, ...more });
        }),
      );
      expect(reported!.loss).toBe(plain!.loss);
      expectClose(flat(reported!.gradient), flat(plain!.gradient));
      expect(reported!.metrics).toMatchObject(plain!.metrics);
    });

    test("without a task, as on an anchor, has no product with its gradient", async () => {
      const { metrics } = await compute(compose(members), DATA, MODEL, { report: {} });
      expect(metrics).toHaveProperty("forward/logit_grad_square");
      expect(metrics).not.toHaveProperty("forward/task_grad_product");
    });
  });

  test("a name used twice is refused", () => {
    expect(() =>
      compose([
        { regularizer: forward, weight: 1 },
        { regularizer: forward, weight: 1 },
      ]),
    ).toThrow('two regularizers are named "forward"');
  });
});

describe("crossEntropyLoss", () => {
  test("is the token mean of the whole batch, not a mean of means: 10 / 4 = 2.5, not 2", () => {
    const surprise = (values: number[]) => matrix(values.map((x) => [-x, Math.log1p(-Math.exp(-x))]));
    const data = [datumOf([1]), datumOf([1, 1, 1])];
    const { loss, metrics, perRow } = crossEntropyLoss(data, [surprise([1]), surprise([2, 3, 4])]);
    expect(loss).toBeCloseTo(2.5, 6);
    expect(metrics).toEqual({ cross_entropy: loss });
    expect([...perRow[1]!.data].map(Math.round)).toEqual([2, 3, 4]);
  });

  test("its gradient is w·(p − onehot) / Σ w, and parts add up", () => {
    const { gradient, loss } = crossEntropyLoss(DATA, MODEL);
    const expected = DATA.flatMap(({ lossInputs: { weights, target_tokens } }, d) =>
      [...MODEL[d]!.data].map(
        (logprob, i) =>
          (weights.data[Math.floor(i / 3)]! *
            (Math.exp(logprob) - (target_tokens.data[Math.floor(i / 3)] === i % 3 ? 1 : 0))) /
          3.5,
      ),
    );
    expectClose(flat(gradient), expected);
    const parts = DATA.map((datum, i) => crossEntropyLoss([datum], [MODEL[i]!], { totalWeight: 3.5 }));
    expect(parts[0]!.loss + parts[1]!.loss).toBeCloseTo(loss, 12);
    expect(flat(parts.flatMap(({ gradient }) => gradient))).toEqual(flat(gradient));
  });

  test("an infinite one can be traced to its datum and row", () => {
    const impossible = matrix([[0, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]]);
    const { loss, perRow } = crossEntropyLoss([DATA[0]!, datumOf([1], { targets: [1] })], [MODEL[0]!, impossible]);
    expect(loss).toBe(Number.POSITIVE_INFINITY);
    expect(perRow.map(({ data }) => data.every(Number.isFinite))).toEqual([true, false]);
  });

  test("a target outside the vocabulary names its datum, unless its row does not count", () => {
    const datum = (weight: number) => datumOf([weight], { targets: [3], source: "train.jsonl:2" });
    expect(() => crossEntropyLoss([datum(1)], [MODEL[1]!])).toThrow(
      "datum 0 (train.jsonl:2): the target of row 0 is token 3, expected 0 to 2",
    );
    expect(crossEntropyLoss([datum(0)], [MODEL[1]!]).loss).toBe(0);
  });
});
