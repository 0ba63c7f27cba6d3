import { UserError } from "../../common/errors.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { ownMetrics } from "../../loss/metrics.ts";
import { checkNames } from "../check-names.ts";
import { type Weight, weightAt } from "../coefficients/contract.ts";
import type { AdapterMatrices, AdapterPenalty, MatrixPenalty } from "./contract.ts";

/** A penalty on matrices and its weight: a number, finite and at least 0, or what gives one for each step. */
export interface WeightedPenalty {
  readonly penalty: AdapterPenalty;
  readonly weight: number | Weight;
}

/**
 * A weighted sum of penalties on an adapter's matrices, which is a penalty again: Σ weightᵢ · penaltyᵢ.
 *
 * Each one's metrics come as `name/metric`, and besides its own it has `value`, its loss, `weight`, that of the step,
 * `contribution`, weight · value, and `matrix_grad_norm`, the L2 norm of its gradient over all matrices, unweighted.
 *
 * @throws UserError for a weight that is negative or not finite, a name used twice, or from `compute`, with the penalty's
 * name, for a gradient that does not fit the matrices.
 * @example
 * const both = composeAdapter([{ penalty: l2(), weight: 1e-4 }, { penalty: orthogonality(), weight: linearWeight(ramp) }]);
 */
export function composeAdapter(
  members: readonly WeightedPenalty[],
  { name = "adapter" }: { readonly name?: string } = {},
): AdapterPenalty {
  checkNames(members.map(({ penalty }) => penalty.name));
  for (const { penalty, weight } of members) weightAt(weight, 1, penalty.name);
  return {
    name,
    compute: (matrices, options = {}) => {
      let total = 0;
      const gradient = new Map<string, Tensor>();
      const metrics: Record<string, number> = {};
      for (const { penalty, weight: given } of members) {
        const weight = weightAt(given, options.step ?? 1, penalty.name);
        const { loss: value, gradient: slopes, metrics: own } = penalty.compute(matrices, options);
        const square = addSlopes(penalty.name, matrices, slopes, weight, gradient);
        const contribution = weight * value;
        total += contribution;
        const all = { ...own, value, weight, contribution, matrix_grad_norm: Math.sqrt(square) };
        for (const [metric, number] of Object.entries(all)) metrics[`${penalty.name}/${metric}`] = number;
      }
      return { loss: total, gradient, metrics };
    },
    observe: (step, measured) => {
      for (const { penalty, weight } of members) {
        const own = ownMetrics(penalty.name, measured);
        penalty.observe?.(step, own);
        if (typeof weight !== "number") weight.observe?.(step, own);
      }
    },
  };
}

/** Adds weight · slopes to the gradient. Returns ‖slopes‖². */
function addSlopes(
  name: string,
  matrices: AdapterMatrices,
  slopes: MatrixPenalty["gradient"],
  weight: number,
  gradient: Map<string, Tensor>,
): number {
  let square = 0;
  for (const [matrix, { data }] of slopes) {
    const to = matrices.get(matrix);
    if (to?.data.length !== data.length) {
      throw new UserError(
        `regularizer "${name}": its gradient holds ${data.length} numbers for ${matrix}, ${to ? `expected ${to.data.length}` : "a matrix that the adapter does not have"}`,
      );
    }
    const sum = gradient.get(matrix) ?? { data: new Float32Array(data.length), shape: to.shape };
    gradient.set(matrix, sum);
    for (const [i, slope] of data.entries()) {
      square += slope * slope;
      sum.data[i]! += weight * slope;
    }
  }
  return square;
}
