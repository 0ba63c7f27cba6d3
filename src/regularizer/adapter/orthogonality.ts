import { UserError } from "../../common/errors.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import { type AdapterPenalty, isAmong } from "./contract.ts";
import { checkFactors, type NormOptions } from "./elastic-net.ts";

/** Settings of `orthogonality`. */
export interface OrthogonalityOptions extends NormOptions {
  /**
   * What the products of the rank's directions should be. `"diagonal"`: any length, at right angles; a fresh adapter's B,
   * which is 0, is at the minimum. `"identity"`: of length 1 too, as AdaLoRA has it, which fits factors that a separate
   * scale stands between, and pulls a plain LoRA's B from 0 once it has left it. Default `"diagonal"`.
   */
  readonly target?: "diagonal" | "identity" | undefined;
}

/** Defaults of `orthogonality`. */
export const ORTHOGONALITY_DEFAULTS = { weight: 0.1, factors: "both", target: "diagonal" } as const;

/**
 * Keeps the directions of a LoRA pair from repeating each other: ‖G − T‖²_F for G = A·Aᵀ and G = Bᵀ·B, both [rank, rank],
 * the mean over the matrices; T is G's own diagonal or the identity. The gradient is 4·(G − T)·A and 4·B·(G − T).
 *
 * Metrics: `orthogonality`, the mean, and `orthogonality_max`, that of the worst matrix.
 *
 * @throws UserError for an invalid target or factors.
 * @example const apart = orthogonality({ factors: "A" });
 * @see Zhang et al. 2023, AdaLoRA (arXiv 2303.10512), eq. 4: R(P, Q) = ‖PᵀP − I‖²_F + ‖QQᵀ − I‖²_F
 */
export function orthogonality({
  name = "orthogonality",
  factors = ORTHOGONALITY_DEFAULTS.factors,
  target = ORTHOGONALITY_DEFAULTS.target,
}: OrthogonalityOptions = {}): AdapterPenalty {
  checkFactors(factors);
  if (target !== "diagonal" && target !== "identity") {
    throw new UserError(`the target of orthogonality is ${JSON.stringify(target)}, expected diagonal or identity`);
  }
  return {
    name,
    weight: ORTHOGONALITY_DEFAULTS.weight,
    compute: (matrices) => {
      const among = [...matrices].filter(([matrix]) => isAmong(factors, matrix));
      const gradient = new Map<string, Tensor>();
      let [sum, max] = [0, Number.NEGATIVE_INFINITY];
      for (const [matrix, tensor] of among) {
        const directions = toDirections(matrix, tensor);
        const excess = excessOf(directions, target === "identity");
        const loss = excess.reduce((sum, e) => sum + e * e, 0);
        sum += loss;
        max = Math.max(max, loss);
        gradient.set(matrix, gradientOf(tensor, directions, excess, 4 / among.length));
      }
      const value = among.length === 0 ? 0 : sum / among.length;
      return {
        value,
        gradient,
        metrics: { orthogonality: value, ...(among.length > 0 && { orthogonality_max: max }) },
      };
    },
  };
}

/** The rank's directions: the rows of A [rank, in], the columns of B [out, rank]. */
interface Directions {
  readonly count: number;
  readonly length: number;
  /** Where entry i of direction r stands: at r·stride + i·step. */
  readonly stride: number;
  readonly step: number;
  readonly data: Float32Array;
}

function toDirections(name: string, { data, shape }: Tensor): Directions {
  const [rows, columns] = shape as readonly [number, number];
  if (name.includes(".lora_B.")) return { count: columns, length: rows, stride: 1, step: columns, data };
  return { count: rows, length: columns, stride: columns, step: 1, data };
}

/** G − T, [count, count]. */
function excessOf({ count, length, stride, step, data }: Directions, identity: boolean): Float64Array {
  const excess = new Float64Array(count * count);
  for (let r = 0; r < count; r++) {
    for (let s = 0; s <= r; s++) {
      if (r === s && !identity) continue;
      let product = 0;
      for (let i = 0; i < length; i++) product += data[r * stride + i * step]! * data[s * stride + i * step]!;
      const more = r === s ? product - 1 : product;
      excess[r * count + s] = more;
      excess[s * count + r] = more;
    }
  }
  return excess;
}

/** factor · (G − T) · directions, laid out like the matrix. */
function gradientOf(
  { shape }: Tensor,
  { count, length, stride, step, data }: Directions,
  excess: Float64Array,
  factor: number,
): Tensor {
  const into = new Float32Array(data.length);
  for (let r = 0; r < count; r++) {
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (let s = 0; s < count; s++) sum += excess[r * count + s]! * data[s * stride + i * step]!;
      into[r * stride + i * step] = factor * sum;
    }
  }
  return { data: into, shape };
}
