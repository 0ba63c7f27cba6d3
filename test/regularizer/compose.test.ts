import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { logSoftmax, type Tensor } from "../../src/divergence/index.ts";
import type { GradientSum, Part } from "../../src/loss/contract.ts";
import { itemsOf, SINGLE_STEP, wholeSpans } from "../../src/loss/items.ts";
import { addAll, type Member, Member as OneMember } from "../../src/regularizer/compose.ts";
import {
  adaptiveWeight,
  type Coefficient,
  compose,
  compute,
  crossEntropyLoss,
  KLDivergence,
  linearWeight,
  type Regularizer,
} from "../../src/regularizer/index.ts";
import { datumByDatum, inParts, measuredInParts, positionByPosition, whole, zerosLike } from "../loss/in-parts.ts";
import { datumOf } from "./datums.ts";
import { MODEL, REFERENCE } from "./two-datums.ts";

const DATA = [datumOf([1, 0.5], { targets: [2, 1] }), datumOf([2], { targets: [0], source: "train.jsonl:2" })];

const forward = new KLDivergence({ name: "forward", referenceLogprobs: REFERENCE, direction: "forward" });
const reverse = new KLDivergence({ name: "reverse", referenceLogprobs: REFERENCE, direction: "reverse" });

/** Adds the same number everywhere. */
function addConstant({ gradient, scale }: GradientSum, g: number): void {
  for (const { data } of gradient) for (let i = 0; i < data.length; i++) data[i]! += scale * g;
}

/** A regularizer of the simplest kind: a value and a gradient that depend on nothing. */
function constant(name: string, value: number): Regularizer {
  return {
    name,
    begin: () => ({
      add: (_, into) => addConstant(into, value),
      end: () => ({ value, metrics: { seen: 1 } }),
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
  test("is the weighted sum of its members, gradient included: it is connected to training", async () => {
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
      "mine/seen": 1,
      ...Object.fromEntries(Object.entries(other.metrics).map(([name, value]) => [`reverse/${name}`, value])),
    });
    const { members } = await measuredInParts(both, DATA, MODEL, whole(DATA));
    expect(members).toMatchObject({
      forward: { value: one.loss, weight: 0.3, contribution: 0.3 * one.loss, metrics: one.metrics },
      mine: { value: 2, weight: 0.1, contribution: 0.2, metrics: { seen: 1 } },
      reverse: { value: other.loss, weight: 1.5, contribution: 1.5 * other.loss },
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
    const task = await compute(crossEntropyLoss(), DATA, MODEL);
    const before = flat(task.gradient);
    const composed = compose([
      { regularizer: forward, weight: 0.3 },
      { regularizer: constant("mine", 1), weight: 1 },
    ]);
    const alone = flat((await compute(composed, DATA, MODEL)).gradient);
    const into = { gradient: task.gradient, scale: 2 };
    const { gradient } = await inParts(composed, DATA, MODEL, datumByDatum(DATA), { into });
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
      begin: () => ({
        add: () =>
          new Promise<void>((resolve) => {
            waiting.push(resolve);
            if (waiting.length === 2) for (const go of waiting) go();
          }),
        end: () => ({ value: 1, metrics: {} }),
      }),
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

  test("a failing member names itself, and never counts as 0", async () => {
    const failing = (cause: unknown): Regularizer => ({
      name: "failing",
      begin: () => ({
        add: () => {
          throw cause;
        },
        end: () => ({ value: 0, metrics: {} }),
      }),
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
      'regularizer "broken": its value is NaN, expected a finite number',
    );
    await expect(of(constant("broken", Number.POSITIVE_INFINITY))).rejects.toThrow("its value is Infinity");
    const late: Regularizer = {
      name: "late",
      begin: async () => {
        throw new UserError("no such server");
      },
    };
    await expect(of(late)).rejects.toThrow('regularizer "late": no such server');
  });

  test("a failure comes out once the other members are done, and an end that was asked for as it is", async () => {
    let isDone = false;
    const slow: Regularizer = {
      name: "slow",
      begin: () => ({
        add: async () => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          isDone = true;
        },
        end: () => ({ value: 1, metrics: {} }),
      }),
    };
    const controller = new AbortController();
    const ended: Regularizer = {
      name: "ended",
      begin: () => ({
        add: async () => {
          controller.abort("enough");
          throw controller.signal.reason;
        },
        end: () => ({ value: 1, metrics: {} }),
      }),
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
      const { value, gradient, members } = await measuredInParts(composed, DATA, MODEL, whole(DATA), {
        step: { number: 4 },
      });
      expect(value).toBeCloseTo(0.6, 12);
      for (const g of flat(gradient)) expect(g).toBeCloseTo(0.6, 6);
      expect(members.mine!.weight).toBeCloseTo(0.3, 12);
      expect(members.mine!.contribution).toBeCloseTo(0.6, 12);
      expect((await compute(composed, DATA, MODEL)).loss).toBe(0);
    });

    test("go on from what their own regularizer measured, once a step, at any depth", async () => {
      const measured: unknown[] = [];
      const listening = (at: string): Coefficient<number> => ({
        init: () => 1,
        at: (state) => state,
        update: (state, { value, metrics }) => {
          measured.push([at, value, metrics]);
          return state + 1;
        },
      });
      const inner = compose([{ regularizer: constant("mine", 1), weight: listening("inner") }], { name: "deep" });
      const outer = compose([{ regularizer: inner, weight: listening("outer") }]);
      const first = await inParts(outer, DATA, MODEL, positionByPosition(DATA));
      const second = await inParts(outer, DATA, MODEL, whole(DATA));
      expect([first.loss, second.loss]).toEqual([1, 2 * 2]);
      expect(measured).toEqual([
        ["inner", 1, { seen: 1 }],
        ["outer", 1, { "mine/seen": 1 }],
        ["inner", 1, { seen: 1 }],
        ["outer", 2, { "mine/seen": 1 }],
      ]);
    });

    test("say their state, at any depth: written into another composition as JSON, it goes on the same", async () => {
      const build = () => {
        const adaptive = (regularizer: Regularizer) => ({ regularizer, weight: adaptiveWeight({ target: 0.01 }) });
        return compose([adaptive(compose([adaptive(forward)], { name: "deep" })), adaptive(reverse)]);
      };
      const [one, other] = [build(), build()];
      for (let i = 0; i < 3; i++) await compute(one, DATA, MODEL);
      const { values, tensors } = one.state!.read();
      expect((await compute(other, DATA, MODEL)).loss).not.toBe((await compute(one, DATA, MODEL)).loss);
      other.state!.write({ values: JSON.parse(JSON.stringify(values)), tensors });
      one.state!.write({ values, tensors });
      for (let i = 0; i < 2; i++) expect(await compute(other, DATA, MODEL)).toEqual(await compute(one, DATA, MODEL));
      expect(() => other.state!.write({ values: { deep: null }, tensors })).toThrow(UserError);
    });

    test("one that becomes negative or no number is refused in its step", async () => {
      const weight: Coefficient<null> = { init: () => null, at: (_, step) => 2 - step, update: () => null };
      const falling = compose([{ regularizer: constant("mine", 1), weight }]);
      await expect(compute(falling, DATA, MODEL, { number: 4 })).rejects.toThrow(
        'the weight of the regularizer "mine" is -2 in step 4, expected a finite number of at least 0',
      );
    });
  });

  describe("a full report", () => {
    const members = [
      { regularizer: forward, weight: 0.3 },
      { regularizer: constant("mine", 2), weight: 0 },
    ];
    const step = { full: true };

    /** The parts of a step as the objective brings them: the task's gradient is in the sum already. */
    async function besideTask(parts: readonly Part["spans"][]) {
      const batch = itemsOf(DATA);
      const open = await Promise.all(
        members.map(
          (member): ReturnType<Member["begin"]> => new OneMember(member).begin(batch, { ...SINGLE_STEP, ...step }),
        ),
      );
      const task = crossEntropyLoss().begin(batch);
      const gradient = zerosLike(MODEL);
      for (const spans of parts) {
        const cut = (tensors: readonly Tensor[]) =>
          spans.map(({ index, from, to }) => ({
            data: tensors[index]!.data.subarray(3 * from, 3 * to),
            shape: [to - from, 3],
          }));
        const [part, into] = [
          { spans, logprobs: cut(MODEL) },
          { gradient: cut(gradient), scale: 1 },
        ];
        await task.add(part, into);
        await addAll(open, part, into, into);
      }
      return { gradient, measured: open.map((member) => member.end()) };
    }

    test.each([
      ["whole", [wholeSpans(itemsOf(DATA))]],
      ["a position a part", positionByPosition(DATA)],
    ] as const)("measures each gradient by itself, whatever its weight, against the task's: %s", async (_, parts) => {
      const task = flat((await compute(crossEntropyLoss(), DATA, MODEL)).gradient);
      const own = flat((await compute(forward, DATA, MODEL)).gradient);
      const { gradient, measured } = await besideTask(parts);
      const product = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
      const [norm, taskNorm] = [Math.sqrt(product(own, own)), Math.sqrt(product(task, task))];
      expect(measured[0]!.logit_grad_norm).toBeCloseTo(norm, 6);
      expect(measured[0]!.task_cosine).toBeCloseTo(product(own, task) / (norm * taskNorm), 6);
      expect(measured[1]!.logit_grad_norm).toBeCloseTo(2 * Math.sqrt(own.length), 6);
      expectClose(
        flat(gradient),
        task.map((g, i) => g + 0.3 * own[i]!),
      );
    });

    test("changes neither loss nor gradient", async () => {
      const nested = () =>
        compose([
          { regularizer: compose(members), weight: 2 },
          { regularizer: reverse, weight: 1 },
        ]);
      const plain = await inParts(nested(), DATA, MODEL, datumByDatum(DATA));
      const reported = await inParts(nested(), DATA, MODEL, datumByDatum(DATA), { step });
      expect(reported.loss).toBe(plain.loss);
      expectClose(flat(reported.gradient), flat(plain.gradient));
      expect(reported.metrics).toMatchObject(plain.metrics);
    });

    test("without a task, as on an anchor, has a norm and no cosine", async () => {
      const { members: measured } = await measuredInParts(compose(members), DATA, MODEL, whole(DATA), { step });
      expect(measured.forward).toHaveProperty("logit_grad_norm");
      expect(measured.forward).not.toHaveProperty("task_cosine");
    });
  });

  describe("with a member that works on the log-probabilities of targets", () => {
    /** ½·Σ (log p[target] + 1)². */
    const onTargets: Regularizer = {
      name: "targets",
      support: "targets",
      begin: () => {
        let value = 0;
        return {
          add: ({ logprobs }, { gradient, scale }) => {
            for (const [i, { data }] of logprobs.entries()) {
              for (const [row, logp] of data.entries()) {
                value += 0.5 * (logp + 1) ** 2;
                gradient[i]!.data[row]! += scale * (logp + 1);
              }
            }
          },
          end: () => ({ value, metrics: {} }),
        };
      },
    };
    const composed = (weight: number) =>
      compose([
        { regularizer: onTargets, weight: 2 },
        { regularizer: forward, weight },
      ]);

    test("it needs the vocabulary if another does; its gradient with respect to the logits is its formula", async () => {
      expect(composed(0).support).toBe("vocabulary");
      const { loss, gradient } = await inParts(composed(0), DATA, MODEL, positionByPosition(DATA));
      const rows = DATA.flatMap(({ lossInputs: { target_tokens } }, d) =>
        Array.from(target_tokens.data, (target, row) => ({
          target,
          logP: MODEL[d]!.data.subarray(3 * row, 3 * row + 3),
        })),
      );
      // (log p[target] + 1)·(onehot − p), twice.
      expectClose(
        flat(gradient),
        rows.flatMap(({ target, logP }) =>
          Array.from(logP, (logp, v) => 2 * (logP[target]! + 1) * (Number(v === target) - Math.exp(logp))),
        ),
      );
      expect(loss).toBeCloseTo(
        rows.reduce((sum, { target, logP }) => sum + (logP[target]! + 1) ** 2, 0),
        6,
      );
    });

    test("the gradient it adds to a sum is the finite difference of its value, whole and in parts", async () => {
      const h = 0.02;
      const valueAt = async (d: number, i: number, step: number) => {
        const moved = MODEL.map(({ data, shape }, datum) =>
          logSoftmax({ data: data.map((z, k) => (datum === d && k === i ? z + step : z)), shape }),
        );
        return (await compute(composed(1.5), DATA, moved)).loss;
      };
      const differences: number[] = [];
      for (const [d, { data }] of MODEL.entries()) {
        for (const i of data.keys()) {
          const [near, far] = [
            (await valueAt(d, i, h)) - (await valueAt(d, i, -h)),
            (await valueAt(d, i, 2 * h)) - (await valueAt(d, i, -2 * h)),
          ];
          differences.push((8 * near - far) / (12 * h));
        }
      }
      for (const parts of [whole(DATA), positionByPosition(DATA)]) {
        const into = { gradient: zerosLike(MODEL), scale: 1 };
        addConstant(into, 0.5);
        const found = flat((await inParts(composed(1.5), DATA, MODEL, parts, { into })).gradient);
        expect(found).toHaveLength(differences.length);
        for (const [i, g] of found.entries()) expect(g - 0.5).toBeCloseTo(differences[i]!, 4);
      }
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
