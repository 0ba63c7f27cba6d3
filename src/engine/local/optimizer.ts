import { UserError } from "../../common/errors.ts";
import { formatShape, sameShape, type Tensor } from "../../divergence/tensor.ts";
import type { AdamParams } from "../../model/contract.ts";

/** A trained tensor with its accumulated gradient and AdamW's two moments. */
export interface Parameter extends Tensor {
  readonly gradient: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/** What of a parameter is state: its fields, each with the prefix that it has in the names of a state's tensors. */
const FIELDS = [
  ["data", "weight"],
  ["mean", "mean"],
  ["variance", "variance"],
] as const;
const STEPS = "steps";

/** Trained tensors by name, what has accumulated for them, and AdamW over them. */
export class Optimizer {
  readonly parameters: ReadonlyMap<string, Parameter>;
  /** Updates made: AdamW's t. */
  #steps = 0;
  /** The weights before the last update; absent where they are not kept, and before the first. */
  #previous: ReadonlyMap<string, Float32Array> | undefined;
  readonly #keepsPrevious: boolean;

  /** @param tensors change in place. */
  constructor(tensors: ReadonlyMap<string, Tensor>, { keepsPrevious }: { readonly keepsPrevious: boolean }) {
    const parameter = ({ data, shape }: Tensor): Parameter => {
      const zeros = () => new Float32Array(data.length);
      return { shape, data, gradient: zeros(), mean: zeros(), variance: zeros() };
    };
    this.parameters = new Map([...tensors].map(([name, tensor]) => [name, parameter(tensor)]));
    this.#keepsPrevious = keepsPrevious;
  }

  get steps(): number {
    return this.#steps;
  }

  /** Adds to the accumulated gradient of a parameter. */
  add(name: string, more: Float32Array): void {
    const { gradient } = this.parameters.get(name)!;
    for (let i = 0; i < more.length; i++) gradient[i]! += more[i]!;
  }

  /**
   * One update from the accumulated gradients, which are then cleared. When their norm is not finite, nothing is updated.
   *
   * @returns the gradients' global L2 norm before clipping.
   */
  update(params: AdamParams): number {
    const parameters = [...this.parameters.values()];
    const norm = gradientNorm(parameters);
    if (Number.isFinite(norm)) {
      if (this.#keepsPrevious) this.#keep();
      adamw(parameters, params, ++this.#steps, norm);
    }
    this.clear();
    return norm;
  }

  /** Gives the weights the values that they had before the last update. Moments and count stay. */
  revert(): void {
    for (const [name, previous] of this.#previous ?? []) this.parameters.get(name)!.data.set(previous);
  }

  /** Weights, moments and the number of updates, copied. The number is exact up to 2²⁴. */
  read(): Map<string, Tensor> {
    const tensors = new Map<string, Tensor>([[STEPS, { data: Float32Array.of(this.#steps), shape: [1] }]]);
    for (const [field, prefix] of FIELDS) {
      for (const [name, parameter] of this.parameters) {
        tensors.set(`${prefix}.${name}`, { data: parameter[field].slice(), shape: parameter.shape });
      }
    }
    return tensors;
  }

  /**
   * Takes over what `read` gave, and clears the gradients.
   *
   * @throws UserError for the state of another client, changing nothing.
   */
  write(tensors: ReadonlyMap<string, Tensor>): void {
    const get = (name: string, shape: readonly number[]) => {
      const found = tensors.get(name);
      if (found && sameShape(found.shape, shape)) return found.data;
      throw new UserError(
        `the state holds ${found ? formatShape(found.shape) : "nothing"} as ${name}, expected ${formatShape(shape)}; give a state that was read from a client of the same model and LoRA settings.`,
      );
    };
    const steps = get(STEPS, [1])[0]!;
    const saved = FIELDS.flatMap(([field, prefix]) =>
      [...this.parameters].map(([name, parameter]) => ({
        into: parameter[field],
        data: get(`${prefix}.${name}`, parameter.shape),
      })),
    );
    for (const { into, data } of saved) into.set(data);
    this.#steps = steps;
    this.#previous = undefined;
    this.clear();
  }

  clear(): void {
    for (const { gradient } of this.parameters.values()) gradient.fill(0);
  }

  #keep(): void {
    this.#previous ??= new Map([...this.parameters].map(([name, { data }]) => [name, new Float32Array(data.length)]));
    for (const [name, previous] of this.#previous) previous.set(this.parameters.get(name)!.data);
  }
}

/** The state that `write` takes, from weights by name, moments by the names `mean.…` and `variance.…`, and their count. */
export function stateOf(
  weights: ReadonlyMap<string, Tensor>,
  moments: ReadonlyMap<string, Tensor>,
  steps: number,
): ReadonlyMap<string, Tensor> {
  const named = [...weights].map(([name, tensor]) => [`weight.${name}`, tensor] as const);
  return new Map([[STEPS, { data: Float32Array.of(steps), shape: [1] }], ...named, ...moments]);
}

/** The global L2 norm of all gradients. */
function gradientNorm(parameters: Iterable<Parameter>): number {
  let sum = 0;
  for (const { gradient } of parameters) for (const g of gradient) sum += g * g;
  return Math.sqrt(sum);
}

/**
 * One AdamW update (Loshchilov & Hutter 2019, arXiv 1711.05101), in the order of PyTorch's:
 * p ← p·(1 − lr·wd); m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε).
 *
 * @param step t, counted from 1.
 * @param norm the gradients' global norm; they are scaled by min(1, grad_clip_norm / (norm + 1e-6)).
 */
function adamw(parameters: Iterable<Parameter>, params: AdamParams, step: number, norm: number): void {
  const { learning_rate, beta1, beta2, eps, weight_decay, grad_clip_norm } = params;
  const scale = grad_clip_norm > 0 ? Math.min(1, grad_clip_norm / (norm + 1e-6)) : 1;
  const stepSize = learning_rate / (1 - beta1 ** step);
  const correction = Math.sqrt(1 - beta2 ** step);
  const keep = 1 - learning_rate * weight_decay;
  for (const { data, gradient, mean, variance } of parameters) {
    for (let i = 0; i < data.length; i++) {
      const g = gradient[i]! * scale;
      const m = beta1 * mean[i]! + (1 - beta1) * g;
      const v = beta2 * variance[i]! + (1 - beta2) * g * g;
      mean[i] = m;
      variance[i] = v;
      data[i] = data[i]! * keep - (stepSize * m) / (Math.sqrt(v) / correction + eps);
    }
  }
}
