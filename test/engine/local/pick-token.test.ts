import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { type Pick, pickToken } from "../../../src/engine/local/pick-token.ts";

const P = [0.05, 0.4, 0.1, 0.3, 0.1, 0.05];
const LOGPROBS = Float32Array.from(P, Math.log);

/** How often each token comes, of evenly spread uniform numbers. */
function shares(pick: Pick, logprobs = LOGPROBS): number[] {
  const counts = new Array<number>(logprobs.length).fill(0);
  const draws = 2000;
  for (let i = 0; i < draws; i++) counts[pickToken(logprobs, pick, (i + 0.5) / draws)]! += 1 / draws;
  return counts;
}

/** What the definition gives: the likeliest k, then the fewest of them that make up p, renormalized. */
function expected({ temperature, top_k = P.length, top_p = 1 }: Pick): number[] {
  const weights = P.map((p) => p ** (1 / temperature));
  const order = P.map((_, i) => i).sort((a, b) => weights[b]! - weights[a]! || a - b);
  const among = order.slice(0, top_k);
  const total = among.reduce((sum, i) => sum + weights[i]!, 0);
  const kept: number[] = [];
  for (let sum = 0, n = 0; n < among.length && (n === 0 || sum < top_p * total - 1e-9); n++) {
    kept.push(among[n]!);
    sum += weights[among[n]!]!;
  }
  const all = kept.reduce((sum, i) => sum + weights[i]!, 0);
  return P.map((_, i) => (kept.includes(i) ? weights[i]! / all : 0));
}

describe("a token is drawn as often as the distribution says", () => {
  it.each<Pick>([
    { temperature: 1 },
    { temperature: 0.5 },
    { temperature: 2, top_k: 3 },
    { temperature: 1, top_k: 1 },
    { temperature: 1, top_k: 3 },
    { temperature: 1, top_k: 100 },
    { temperature: 1, top_p: 0.35 },
    { temperature: 1, top_p: 0.75 },
    { temperature: 1, top_p: 0.85 },
    { temperature: 0.7, top_k: 4, top_p: 0.6 },
    { temperature: 1, top_p: 1e-9 },
  ])("%j", (pick) => {
    const found = shares(pick);
    for (const [i, share] of expected(pick).entries()) expect(found[i], `token ${i}`).toBeCloseTo(share, 2);
  });
});

test("temperature 0 is the likeliest, the first of equals; no pick is a token of probability 0", () => {
  expect(pickToken(Float32Array.of(-2, -1, -1, -3), { temperature: 0 }, 0.99)).toBe(1);
  const some = fc.array(fc.double({ min: -30, max: 0, noNaN: true }), { minLength: 2, maxLength: 9 });
  fc.assert(
    fc.property(some, fc.nat(8), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (logprobs, at, u) => {
      const row = Float32Array.from(logprobs);
      const never = at % row.length;
      row[never] = Number.NEGATIVE_INFINITY;
      for (const pick of [{ temperature: 1 }, { temperature: 0.3, top_k: 2 }, { temperature: 2, top_p: 0.9 }]) {
        expect(pickToken(row, pick, u)).not.toBe(never);
      }
    }),
  );
});
