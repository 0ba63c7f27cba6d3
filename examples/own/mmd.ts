import { perPosition, type Reference, type Regularizer } from "klamp";

/**
 * The squared maximum mean discrepancy, (p − q)ᵀ·K·(p − q). The derivative with respect to p is 2·K·(p − q).
 *
 * @param kernel K, [V][V], symmetric and positive semi-definite: how alike two tokens are.
 */
export function mmd(reference: Reference, kernel: readonly Float64Array[]): Regularizer {
  return perPosition({
    name: "mmd",
    reference,
    measure: ({ p, q }) => {
      const gap = p.map((x, v) => x - q[v]!);
      const pull = Float64Array.from(kernel, (row) => dot(row, gap));
      return { value: dot(gap, pull), gradient: p.map((x, v) => x * 2 * pull[v]!) };
    },
  });
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
