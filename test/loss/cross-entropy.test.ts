import { expect, test } from "vitest";
import type { Datum } from "../../src/data/datum.ts";
import { tensor } from "../../src/divergence/tensor.ts";
import { crossEntropyLoss } from "../../src/loss/cross-entropy.ts";
import { itemsOf, SINGLE_STEP } from "../../src/loss/items.ts";

const P = [
  [0.5, 0.3, 0.2],
  [0.1, 0.1, 0.8],
  [0.25, 0.25, 0.5],
];
const TARGETS = [1, 2, 0];

function datum(weights: readonly number[]): Datum {
  const shape = [3];
  return {
    modelInput: Int32Array.of(0, 1, 2),
    lossInputs: {
      target_tokens: { data: Int32Array.from(TARGETS), shape },
      weights: { data: Float32Array.from(weights), shape },
    },
  };
}

test.each<["mean" | "sum", number[]]>([
  ["mean", [1, 0.5, 0]],
  ["sum", [1, 0.5, 0]],
  // As linearized losses have them.
  ["sum", [2, -0.5, 0]],
  ["sum", [-1, -2, -0.25]],
])(
  "%s by weights %j: the value, gradient and positions of its formula, over [n, V] and over [n]",
  async (reduction, weights) => {
    const batch = itemsOf([datum(weights)]);
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
