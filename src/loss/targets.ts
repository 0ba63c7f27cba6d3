import { UserError } from "../common/errors.ts";
import type { GradientSum, Item, OpenLoss, Part } from "./contract.ts";
import { targetsOf } from "./items.ts";

/**
 * Gives a loss that works on the log-probabilities of targets what it needs out of whole distributions: its gradient g with
 * respect to log p[target] becomes g·(onehot − p) with respect to the logits.
 */
export async function addFromTargets(
  loss: OpenLoss,
  batch: readonly Item[],
  part: Part,
  into: GradientSum,
): Promise<void> {
  const { spans, logprobs } = part;
  const targets = spans.map((span) => targetsOf(batch, span));
  const picked = logprobs.map(({ data, shape }, i) => ({
    data: Float32Array.from(targets[i]!, (token, row) => data[row * shape[1]! + token]!),
    shape: [shape[0]!],
  }));
  const gradient = picked.map(({ data, shape }) => ({ data: new Float32Array(data.length), shape }));
  await loss.add({ spans, logprobs: picked }, { gradient, scale: into.scale });
  for (const [i, { data, shape }] of logprobs.entries()) {
    const size = shape[1]!;
    const to = into.gradient[i]!.data;
    for (const [row, g] of gradient[i]!.data.entries()) {
      if (g === 0) continue;
      for (let k = row * size; k < (row + 1) * size; k++) to[k]! -= g * Math.exp(data[k]!);
      to[row * size + targets[i]![row]!]! += g;
    }
  }
}

/** @throws UserError unless the loss can use the log-probabilities that a part brings. */
export function checkSupport(what: string, { logprobs }: Part): void {
  if (logprobs.every(({ shape }) => shape.length === 2)) return;
  throw new UserError(
    `${what} needs the distribution over the whole vocabulary, [n, V] for each span, and was given log-probabilities of targets: use an embedded engine`,
  );
}
