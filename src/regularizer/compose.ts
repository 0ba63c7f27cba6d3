import type { Datum } from "../data/datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { UserError } from "../errors.ts";
import type { ComputeOptions, GradientSum, Penalty, Regularizer } from "./contract.ts";
import { addGradient, gradientSum } from "./gradient-sum.ts";

/** A regularizer and its weight in a composition: finite, at least 0. Weight 0 measures without training. */
export interface Weighted {
  readonly regularizer: Regularizer;
  readonly weight: number;
}

/**
 * A weighted sum of regularizers, which is a regularizer again: Σ weightᵢ · regularizerᵢ.
 *
 * All members are computed at the same time, into one gradient. Each one's metrics come as `name/metric`.
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
  const names = new Set<string>();
  for (const { regularizer, weight } of members) {
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new UserError(
        `the weight of the regularizer "${regularizer.name}" is ${weight}, expected a finite number of at least 0`,
      );
    }
    if (names.has(regularizer.name)) {
      throw new UserError(
        `two regularizers are named "${regularizer.name}": give each its own name, since names tell their metrics apart`,
      );
    }
    names.add(regularizer.name);
  }
  return {
    name,
    compute: async (data, logprobs, options = {}) => {
      const sum = gradientSum(options.addTo, logprobs);
      const penalties = await Promise.all(
        members.map(({ regularizer, weight }) => {
          const addTo = { gradient: sum.gradient, scale: sum.scale * weight };
          return computeNamed(regularizer, data, logprobs, { ...options, addTo });
        }),
      );
      const losses = members.map(({ weight }, i) => weight * penalties[i]!.loss);
      const metrics = members.flatMap(({ regularizer }, i) =>
        Object.entries(penalties[i]!.metrics).map(
          ([metric, value]) => [`${regularizer.name}/${metric}`, value] as const,
        ),
      );
      return { loss: losses.reduce((a, b) => a + b, 0), gradient: sum.gradient, metrics: Object.fromEntries(metrics) };
    },
  };
}

/** One member's penalty, its gradient added to the sum, whether it did that itself or not. */
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
    if (penalty.gradient !== addTo.gradient) {
      checkGradient(penalty.gradient, logprobs);
      addGradient(addTo, penalty.gradient);
    }
    return penalty;
  } catch (cause) {
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
