import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type Tensor, tensor } from "../../src/divergence/index.ts";
import { crossEntropyLoss, worstDatum } from "../../src/loss/cross-entropy.ts";
import { itemsOf, SINGLE_STEP } from "../../src/loss/items.ts";
import { compute } from "../../src/regularizer/compute.ts";
import { matrix } from "../divergence/oracle.ts";
import { datumOf } from "../regularizer/datums.ts";
import { MODEL } from "../regularizer/two-datums.ts";
import { inParts, positionByPosition } from "./in-parts.ts";

const DATA = [datumOf([1, 0.5], { targets: [2, 1] }), datumOf([2], { targets: [0], source: "train.jsonl:2" })];
const flat = (gradient: readonly Tensor[]) => gradient.flatMap(({ data }) => [...data]);

describe("cross-entropy", () => {
  test("is the token mean of the whole batch, not a mean of means: 10 / 4 = 2.5, not 2", async () => {
    const surprise = (values: number[]) => matrix(values.map((x) => [-x, Math.log1p(-Math.exp(-x))]));
    const data = [datumOf([1]), datumOf([1, 1, 1])];
    const { loss, metrics, positions } = await compute(crossEntropyLoss(), data, [surprise([1]), surprise([2, 3, 4])]);
    expect(loss).toBeCloseTo(2.5, 6);
    expect(metrics).toEqual({ cross_entropy: loss });
    expect([...positions![1]!.values].map(Math.round)).toEqual([2, 3, 4]);
  });

  test("its gradient is w·(p − onehot) / Σ w, and parts add up", async () => {
    const { gradient, loss } = await compute(crossEntropyLoss(), DATA, MODEL);
    const expected = DATA.flatMap(({ lossInputs: { weights, target_tokens } }, d) =>
      [...MODEL[d]!.data].map(
        (logprob, i) =>
          (weights.data[Math.floor(i / 3)]! *
            (Math.exp(logprob) - (target_tokens.data[Math.floor(i / 3)] === i % 3 ? 1 : 0))) /
          3.5,
      ),
    );
    for (const [i, g] of flat(gradient).entries()) expect(g).toBeCloseTo(expected[i]!, 6);
    const parts = await inParts(crossEntropyLoss(), DATA, MODEL, positionByPosition(DATA));
    expect(parts.loss).toBeCloseTo(loss, 12);
    expect(flat(parts.gradient)).toEqual(flat(gradient));
  });

  test("of the targets' log-probabilities alone it is the same, its gradient −w / Σ w", async () => {
    const targets = DATA.map(({ lossInputs: { target_tokens } }, d): Tensor => {
      const data = Float32Array.from(target_tokens.data, (token, row) => MODEL[d]!.data[3 * row + token]!);
      return { data, shape: [data.length] };
    });
    const [whole, alone] = [
      await compute(crossEntropyLoss(), DATA, MODEL),
      await compute(crossEntropyLoss(), DATA, targets),
    ];
    expect(alone.loss).toBeCloseTo(whole.loss, 6);
    const expected = [-1 / 3.5, -0.5 / 3.5, -2 / 3.5];
    for (const [i, g] of flat(alone.gradient).entries()) expect(g).toBeCloseTo(expected[i]!, 6);
  });

  test("as a sum it is not divided, and positions of weight 0 are told too", async () => {
    const data = [datumOf([0, 2], { targets: [2, 1] })];
    const { loss, positions } = await compute(crossEntropyLoss({ reduction: "sum" }), data, [MODEL[0]!]);
    const surprise = [-MODEL[0]!.data[2]!, -MODEL[0]!.data[4]!];
    expect(loss).toBeCloseTo(2 * surprise[1]!, 5);
    for (const [i, value] of positions![0]!.values.entries()) expect(value).toBeCloseTo(surprise[i]!, 6);
  });

  test("an infinite one can be traced to its datum", async () => {
    const impossible = matrix([[0, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]]);
    const data = [DATA[0]!, datumOf([1], { targets: [1], source: "train.jsonl:7" })];
    const { loss, positions } = await compute(crossEntropyLoss(), data, [MODEL[0]!, impossible]);
    expect(loss).toBe(Number.POSITIVE_INFINITY);
    expect(worstDatum(itemsOf(data), positions!)).toEqual({ source: "train.jsonl:7", loss: Number.POSITIVE_INFINITY });
  });

  test("a target outside the vocabulary is refused with the datum's name, unless its position does not count", async () => {
    const stray = (weight: number) => datumOf([weight], { targets: [9], source: "train.jsonl:3" });
    const found = compute(crossEntropyLoss(), [stray(1)], [MODEL[1]!]);
    await expect(found).rejects.toThrow(UserError);
    await expect(found).rejects.toThrow("datum 0 (train.jsonl:3): the target of row 0 is token 9");
    const { loss, gradient } = await compute(crossEntropyLoss(), [DATA[1]!, stray(0)], [MODEL[1]!, MODEL[1]!]);
    expect(loss).toBe((await compute(crossEntropyLoss(), [DATA[1]!], [MODEL[1]!])).loss);
    expect([...gradient[1]!.data]).toEqual([0, 0, 0]);
  });
});

const P = [
  [0.5, 0.3, 0.2],
  [0.1, 0.1, 0.8],
  [0.25, 0.25, 0.5],
];
const TARGETS = [1, 2, 0];

test.each<["mean" | "sum", number[]]>([
  ["mean", [1, 0.5, 0]],
  ["sum", [1, 0.5, 0]],
  // As linearized losses have them.
  ["sum", [2, -0.5, 0]],
  ["sum", [-1, -2, -0.25]],
])(
  "%s by weights %j: the value, gradient and positions of its formula, over [n, V] and over [n]",
  async (reduction, weights) => {
    const batch = itemsOf([datumOf(weights, { targets: TARGETS })]);
    const share = weights.map((w) => w / (reduction === "mean" ? weights.reduce((a, b) => a + b, 0) : 1));
    const value = share.reduce((sum, w, i) => sum - w * Math.log(P[i]![TARGETS[i]!]!), 0);
    const whole = tensor(P.flat().map(Math.log), [3, 3]);
    const targets = tensor(
      P.map((row, i) => Math.log(row[TARGETS[i]!]!)),
      [3],
    );
    for (const logprobs of [whole, targets]) {
      const open = await crossEntropyLoss({ reduction }).begin(batch, SINGLE_STEP);
      const gradient = tensor(new Float32Array(logprobs.data.length), logprobs.shape);
      await open.add(
        { spans: [{ index: 0, from: 0, to: 3 }], logprobs: [logprobs] },
        { gradient: [gradient], scale: 2 },
      );
      const measured = open.end();
      expect(measured.value).toBeCloseTo(value, 6);
      const { values } = measured.positions![0]!;
      for (const [i, loss] of values.entries()) expect(loss).toBeCloseTo(-Math.log(P[i]![TARGETS[i]!]!), 6);
      for (const [k, g] of gradient.data.entries()) {
        const [row, v] = [Math.floor(k / 3), k % 3];
        const ofLogit = P[row]![v]! - (v === TARGETS[row] ? 1 : 0);
        const expected = logprobs === whole ? 2 * share[row]! * ofLogit : -2 * share[k]!;
        expect(g, `[${logprobs.shape}] ${k}`).toBeCloseTo(expected, 6);
      }
    }
  },
);
