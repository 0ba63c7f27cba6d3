import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { addGradient, gradientSum, gradientSums, SpareMemory } from "../loss/gradient-sum.ts";
import type { ComputeOptions, FullReport, GradientSum, Penalty, Regularizer, RowValues } from "../loss/legacy.ts";
import { ownMetrics, SUMS } from "../loss/metrics.ts";
import { checkNames } from "./check-names.ts";
import { type Weight, weightAt } from "./coefficients/contract.ts";

/**
 * A regularizer and its weight in a composition: a number, finite and at least 0, or what gives one for each step. Weight 0
 * measures without training.
 */
export interface Weighted {
  readonly regularizer: Regularizer;
  readonly weight: number | Weight;
}

/**
 * A weighted sum of regularizers, which is a regularizer again: Σ weightᵢ · regularizerᵢ.
 *
 * All members are computed at the same time, into one gradient. Each one's metrics come as `name/metric`, and besides its
 * own it has `value`, its loss, `weight`, that of the step, and `contribution`, weight · value. With `report`, each one's
 * gradient is measured before it is added to the sum.
 *
 * @param name of the composition itself, for when it is composed in turn. Default `"composition"`.
 * @throws UserError for a weight that is negative or not finite, or a name used twice; from `compute`, the error of the
 * member that failed with its name before it, also when it returned a loss that is not finite.
 * @example
 * const both = compose([
 *   { regularizer: new KLDivergence({ reference, direction: "reverse" }), weight: 0.1 },
 *   { regularizer: mine, weight: 0.01 },
 * ]);
 */
export function compose(
  members: readonly Weighted[],
  { name = "composition" }: { readonly name?: string } = {},
): Regularizer {
  for (const { regularizer, weight } of members) weightAt(weight, 1, regularizer.name);
  checkNames(members.map(({ regularizer }) => regularizer.name));
  const spare = new SpareMemory();
  return {
    name,
    compute: async (data, logprobs, options = {}) => {
      const sum = gradientSum(options.addTo, logprobs);
      const weights = members.map(({ regularizer, weight }) => weightAt(weight, options.step ?? 1, regularizer.name));
      const { report } = options;
      // Measured apart from the others, or added at once.
      const apart = report && members.map(() => spare.take(logprobs));
      const outcomes = await Promise.allSettled(
        members.map(({ regularizer }, i) => {
          const addTo = apart
            ? { gradient: apart[i]!.gradient, scale: 1 }
            : { gradient: sum.gradient, scale: sum.scale * weights[i]! };
          return computeNamed(regularizer, data, logprobs, { ...options, addTo });
        }),
      );
      // Only now: a failure of one leaves nothing of the others under way.
      const penalties = outcomes.map((outcome) => {
        if (outcome.status === "fulfilled") return outcome.value;
        throw outcome.reason;
      });
      const measured = penalties.map(({ gradient }) => (report ? measureGradient(gradient, report) : {}));
      for (const [i, { gradient, memory }] of (apart ?? []).entries()) {
        addGradient({ gradient: sum.gradient, scale: sum.scale * weights[i]! }, gradient);
        spare.giveBack(memory);
      }
      let total = 0;
      const metrics: Record<string, number> = {};
      const rows: Record<string, RowValues> = {};
      for (const [i, { regularizer }] of members.entries()) {
        const { loss: value, metrics: own, rows: ownRows = {} } = penalties[i]!;
        const [weight, prefix] = [weights[i]!, `${regularizer.name}/`];
        const contribution = weight * value;
        total += contribution;
        const all = { ...own, value, weight, contribution, ...measured[i] };
        for (const [metric, number] of Object.entries(all)) metrics[prefix + metric] = number;
        for (const [row, values] of Object.entries(ownRows)) rows[prefix + row] = values;
      }
      return { loss: total, gradient: sum.gradient, metrics, rows };
    },
    observe: (step, measured) => {
      for (const { regularizer, weight } of members) {
        const own = ownMetrics(regularizer.name, measured);
        regularizer.observe?.(step, own);
        if (typeof weight !== "number") weight.observe?.(step, own);
      }
    },
  };
}

/** The sums from which `reportOf` makes a gradient's norm and its cosine to the task's. */
function measureGradient(gradient: readonly Tensor[], { taskGradient }: FullReport): Record<string, number> {
  const { square, product, taskSquare } = gradientSums(gradient, taskGradient);
  return {
    [SUMS.own]: square,
    ...(product !== undefined && taskSquare !== undefined && { [SUMS.product]: product, [SUMS.task]: taskSquare }),
  };
}

/** One member's penalty, its gradient in `addTo`, whether it put it there itself or not. */
async function computeNamed(
  regularizer: Regularizer,
  data: readonly Datum[],
  logprobs: readonly Tensor[],
  options: ComputeOptions & { readonly addTo: GradientSum },
): Promise<Penalty> {
  const { addTo } = options;
  try {
    const penalty = await regularizer.compute(data, logprobs, options);
    if (!Number.isFinite(penalty.loss)) throw new UserError(`its loss is ${penalty.loss}, expected a finite number`);
    if (penalty.gradient === addTo.gradient) return penalty;
    checkGradient(penalty.gradient, logprobs);
    addGradient(addTo, penalty.gradient);
    return { ...penalty, gradient: addTo.gradient };
  } catch (cause) {
    if (options.signal?.aborted && cause === options.signal.reason) throw cause;
    const message = `regularizer "${regularizer.name}": ${cause instanceof Error ? cause.message : String(cause)}`;
    throw cause instanceof UserError ? new UserError(message, { cause }) : new Error(message, { cause });
  }
}

function checkGradient(gradient: readonly Tensor[], logprobs: readonly Tensor[]): void {
  const sizes = (tensors: readonly Tensor[]) => tensors.map(({ data }) => data.length).join(", ");
  if (sizes(gradient) !== sizes(logprobs)) {
    throw new UserError(
      `its gradient holds [${sizes(gradient)}] numbers per datum, expected [${sizes(logprobs)}], one for each log-probability`,
    );
  }
}
