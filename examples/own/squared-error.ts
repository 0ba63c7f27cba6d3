import { perPosition, type Reference, type Regularizer } from "klamp";

/** The squared error of log-probabilities, ½·Σ p·d² with d = log p − log q. Its gradient with respect to log p is p·(½·d² + d). */
export function squaredError(reference: Reference): Regularizer {
  return perPosition({
    name: "squared_error",
    reference,
    measure: ({ p, logP, logQ }) => {
      const d = logP.map((x, v) => x - logQ[v]!);
      const value = d.reduce((sum, x, v) => sum + 0.5 * p[v]! * x * x, 0);
      return { value, gradient: d.map((x, v) => p[v]! * (0.5 * x * x + x)) };
    },
  });
}
