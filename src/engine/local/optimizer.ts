import type { AdamParams } from "../../model/legacy.ts";

/** A trained tensor with its accumulated gradient and AdamW's two moments. */
export interface Parameter {
  readonly shape: readonly number[];
  readonly data: Float32Array;
  readonly gradient: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

export function parameter(data: Float32Array, shape: readonly number[]): Parameter {
  const zeros = () => new Float32Array(data.length);
  return { shape, data, gradient: zeros(), mean: zeros(), variance: zeros() };
}

/** The global L2 norm of all gradients. */
export function gradientNorm(parameters: Iterable<Parameter>): number {
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
export function adamw(parameters: Iterable<Parameter>, params: AdamParams, step: number, norm: number): void {
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
