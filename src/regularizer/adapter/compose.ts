import { UserError } from "../../common/errors.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { SINGLE_STEP } from "../../loss/items.ts";
import type { Stateful } from "../../loss/state.ts";
import type { AdapterMatrices, MatrixMeasured } from "../../model/contract.ts";
import { checkNames } from "../check-names.ts";
import type { Coefficient } from "../coefficients/contract.ts";
import { type MemberMeasured, stateOf } from "../compose.ts";
import { flatMetrics, MemberWeight } from "../member-weight.ts";
import type { AdapterPenalty } from "./contract.ts";

/** A penalty on matrices and its weight: a number, finite and at least 0, or what gives one for each step. */
export interface WeightedPenalty {
  readonly penalty: AdapterPenalty;
  /** Default: the penalty's own `weight`, or 1. */
  readonly weight?: number | Coefficient | undefined;
}

/** What one penalty of a sum measured, and what it counted. */
export interface PenaltyMeasured extends Omit<MemberMeasured, "logit_grad_norm" | "task_cosine"> {
  /** The L2 norm of its gradient over all matrices, unweighted. */
  readonly matrix_grad_norm: number;
}

/** A weighted sum of penalties: one penalty again, which says what each member measured. */
export interface PenaltySum extends AdapterPenalty {
  readonly state: Stateful;
  compute(
    ...args: Parameters<AdapterPenalty["compute"]>
  ): MatrixMeasured & { readonly members: Readonly<Record<string, PenaltyMeasured>> };
}

/**
 * A weighted sum of penalties on an adapter's matrices, which is a penalty again: Σ weightᵢ · penaltyᵢ. What each measured
 * comes as `members`, by its name, and flat in `metrics` as `name/metric`.
 *
 * @throws UserError for a weight that is negative or not finite, a name used twice, or from `compute`, with the penalty's
 * name, for a gradient that does not fit the matrices.
 * @example
 * const both = composeAdapter([{ penalty: l2(), weight: 1e-4 }, { penalty: orthogonality(), weight: linearWeight(ramp) }]);
 */
export function composeAdapter(
  given: readonly WeightedPenalty[],
  { name = "adapter" }: { readonly name?: string } = {},
): PenaltySum {
  checkNames(given.map(({ penalty }) => penalty.name));
  const members = given.map(({ penalty, weight = penalty.weight ?? 1 }) => ({
    penalty,
    weight: new MemberWeight(penalty.name, weight, () => penalty.state),
  }));
  return {
    name,
    compute: (matrices, step = SINGLE_STEP) => {
      let total = 0;
      const gradient = new Map<string, Tensor>();
      const measured: Record<string, PenaltyMeasured> = {};
      for (const { penalty, weight: moving } of members) {
        const weight = moving.at(step.number);
        const { gradient: own, ...found } = penalty.compute(matrices, step);
        const square = addScaled(penalty.name, matrices, own, weight, gradient);
        const contribution = weight * found.value;
        total += contribution;
        measured[penalty.name] = { ...found, weight, contribution, matrix_grad_norm: Math.sqrt(square) };
        moving.update(found);
      }
      return { value: total, gradient, metrics: flatMetrics(measured), members: measured };
    },
    state: stateOf(members.map(({ weight }) => weight)),
  };
}

/** Adds weight · gradient to the sum. Returns ‖gradient‖². */
function addScaled(
  name: string,
  matrices: AdapterMatrices,
  own: MatrixMeasured["gradient"],
  weight: number,
  sum: Map<string, Tensor>,
): number {
  let square = 0;
  for (const [matrix, { data }] of own) {
    const to = matrices.get(matrix);
    if (to?.data.length !== data.length) {
      throw new UserError(
        `regularizer "${name}": its gradient holds ${data.length} numbers for ${matrix}, ${to ? `expected ${to.data.length}` : "a matrix that the adapter does not have"}`,
      );
    }
    const into = sum.get(matrix) ?? { data: new Float32Array(data.length), shape: to.shape };
    sum.set(matrix, into);
    for (const [i, g] of data.entries()) {
      square += g * g;
      into.data[i]! += weight * g;
    }
  }
  return square;
}
