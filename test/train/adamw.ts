import type { AdamParams } from "../../src/model/contract.ts";
import type { TrainOptions } from "../../src/train/train.ts";

/** AdamW with nothing around it: a constant rate, no warm-up, decay or clipping. */
export const ADAMW: NonNullable<TrainOptions["optimizer"]> = {
  learningRate: 0.1,
  gradClip: 0,
};

/** AdamW over one list of numbers, in float64. */
export class AdamW {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  steps = 0;

  constructor(size: number) {
    this.mean = new Float64Array(size);
    this.variance = new Float64Array(size);
  }

  /** Changes the values by their gradient, which is cleared, and returns its norm; changes nothing when that is not finite. */
  update(values: Float64Array, gradient: Float64Array, params: AdamParams): number {
    const { learning_rate, beta1, beta2, eps, weight_decay, grad_clip_norm } = params;
    const norm = Math.hypot(...gradient);
    if (!Number.isFinite(norm)) return norm;
    const scale = grad_clip_norm > 0 ? Math.min(1, grad_clip_norm / (norm + 1e-6)) : 1;
    this.steps++;
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i]! * scale;
      this.mean[i] = beta1 * this.mean[i]! + (1 - beta1) * g;
      this.variance[i] = beta2 * this.variance[i]! + (1 - beta2) * g * g;
      const m = this.mean[i]! / (1 - beta1 ** this.steps);
      const v = this.variance[i]! / (1 - beta2 ** this.steps);
      values[i] = values[i]! * (1 - learning_rate * weight_decay) - (learning_rate * m) / (Math.sqrt(v) + eps);
    }
    gradient.fill(0);
    return norm;
  }
}
