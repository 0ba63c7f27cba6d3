import { describe, expect, test } from "vitest";
import type { Datum } from "../../src/data/datum.ts";
import { measureDrift } from "../../src/drift/drift.ts";
import { openFixture } from "../engine/local/fixture.ts";
import { randomData, reweighted } from "../engine/local/models.ts";

/** More rows than are held at once, so that they come in parts. */
const DATA = randomData([40, 3, 120, 77, 200, 9], 320);

const { base, client } = await openFixture();

/** Σ w·x / Σ w over all rows, written out in float64. */
async function byDefinition(data: readonly Datum[], direction: "forward" | "reverse") {
  const [p, q] = [await client.sampler("current").distributions(data), await base.distributions(data)];
  let [total, crossEntropy, drift] = [0, 0, 0];
  for (const [i, { lossInputs }] of data.entries()) {
    for (const [row, weight] of lossInputs.weights.data.entries()) {
      total += weight;
      crossEntropy -= weight * p[i]!.data[row * 320 + lossInputs.target_tokens.data[row]!]!;
      for (let v = row * 320; v < (row + 1) * 320; v++) {
        const ratio = p[i]!.data[v]! - q[i]!.data[v]!;
        drift += weight * (direction === "forward" ? Math.exp(p[i]!.data[v]!) : -Math.exp(q[i]!.data[v]!)) * ratio;
      }
    }
  }
  return { cross_entropy: crossEntropy / total, drift: drift / total };
}

describe("what a model makes of a text", () => {
  test.each(["forward", "reverse"] as const)("is the weighted mean over all rows, once (%s)", async (direction) => {
    const found = await measureDrift(client.sampler("current"), base, DATA, direction);
    const expected = await byDefinition(DATA, direction);
    expect(expected.drift).toBeGreaterThan(0.01);
    expect(found.cross_entropy / expected.cross_entropy).toBeCloseTo(1, 6);
    expect(found.drift / expected.drift).toBeCloseTo(1, 5);
  });

  test("is KL(reference‖model) unless asked otherwise, and not the same the other way", async () => {
    const current = client.sampler("current");
    const plain = await measureDrift(current, base, DATA);
    expect(plain).toEqual(await measureDrift(current, base, DATA, "reverse"));
    expect(plain.drift).not.toBeCloseTo((await measureDrift(current, base, DATA, "forward")).drift, 4);
  });

  test("of the base itself is no drift at all", async () => {
    const { cross_entropy, drift } = await measureDrift(base, base, DATA);
    expect(drift).toBe(0);
    // A random model knows nothing: about log 320 = 5.77 nats.
    expect(cross_entropy).toBeGreaterThan(5);
  });

  test("of no rows that count is 0, not NaN", async () => {
    const masked = DATA.map((datum) => reweighted(datum, () => 0));
    for (const data of [[], masked]) {
      expect(await measureDrift(client.sampler("current"), base, data)).toEqual({
        cross_entropy: 0,
        drift: 0,
      });
    }
  });
});
