import { type Position, perPosition, type Reference, type Regularizer } from "klamp";

/**
 * The Wasserstein-1 distance between distributions over tokens on a line: Σ |P − Q|·gap, with P and Q the cumulative
 * distributions and gap the distance from one token to the next. The derivative with respect to the probability of a token
 * is Σ sign(P − Q)·gap from that token upwards.
 *
 * @param at the coordinate of each token, [V], in any order; tokens may share one.
 */
export function wasserstein(reference: Reference, at: ArrayLike<number>): Regularizer {
  const downwards = Array.from(at, (_, v) => v).sort((a, b) => at[b]! - at[a]!);
  const measure = ({ p, q }: Position) => {
    const gradient = new Float64Array(p.length);
    let [value, slope, above, next] = [0, 0, 0, at[downwards[0]!]!]; // above is Σ (p − q) of the tokens above: Q − P.
    for (const v of downwards) {
      value += Math.abs(above) * (next - at[v]!);
      slope -= Math.sign(above) * (next - at[v]!);
      gradient[v] = p[v]! * slope;
      [above, next] = [above + p[v]! - q[v]!, at[v]!];
    }
    return { value, gradient };
  };
  return perPosition({ name: "wasserstein", reference, measure });
}
