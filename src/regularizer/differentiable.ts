import type { numpy } from "@jax-js/jax";
import { UserError } from "../common/errors.ts";
import { NORMALIZATION_TOLERANCE, NotNormalizedError } from "../divergence/not-normalized.ts";
import { sumOfRow } from "../divergence/row.ts";
import { formatShape, type Tensor } from "../divergence/tensor.ts";
import { weightsOf } from "../loss/items.ts";
import type { Regularizer } from "./contract.ts";
import { type OwnRegularizerOptions, ownRegularizer, wholeVocabulary } from "./per-position.ts";
import type { SpanOptions } from "./position-loss.ts";

/** `Array` is jax-js's `numpy.Array`, which comes with the function: klamp's own types do not depend on that package. */
export interface DifferentiableOptions<Array> extends OwnRegularizerOptions {
  /**
   * From log-probabilities [rows, V] of the model, and of the reference where there is one, to the value of each row,
   * [rows]. Takes ownership of its arguments, as everything in jax-js does: write `.ref` where one is used again.
   */
  readonly fn: (logprobs: Array, reference: Array) => Array;
}

/**
 * A regularizer of your own, from a function that jax-js differentiates, in float32. Needs the package `@jax-js/jax`, which
 * is loaded when the regularizer is first used.
 *
 * The gradient is that of fn(log_softmax(z)) with respect to the logits z, the model's log-probabilities being such. Rows of
 * weight 0 are not handed over. Masking, weights, means and parts of a batch are taken care of. Metrics: `name`, the
 * mean, `name_max`, `name_min`, ….
 *
 * @throws UserError for more than one reference; in a step, when `@jax-js/jax` cannot be loaded, when the function
 * returns another shape, or, naming the datum, for values or own that are not finite.
 * @example
 * import { numpy as np } from "@jax-js/jax";
 * const squaredError = differentiable({
 *   name: "squared_error",
 *   reference: baseReference(client.sampler("base")),
 *   fn: (logprobs: np.Array, reference: np.Array) => np.square(logprobs.sub(reference)).mean(-1),
 * });
 */
export function differentiable<Array>({ fn, ...options }: DifferentiableOptions<Array>): Regularizer {
  const rowsFn = fn as unknown as RowsFunction;
  return ownRegularizer(options, async ({ batch, spans, logprobs, rows }) => {
    const references = rows?.map((each, i) => wholeVocabulary(each, batch[spans[i]!.index]!.datum, spans[i]!.index));
    const counted = spans.map((span) => {
      const weights = weightsOf(batch, span);
      return [...weights.keys()].filter((row) => weights[row] !== 0);
    });
    const places = startsOf(counted);
    const found = differentiate(await loadJax(), rowsFn, counted, logprobs, references);
    return (p, _, how, i) => {
      for (const row of counted[i]!) {
        checkNormalized("p", p, row);
        if (references) checkNormalized("q", references[i]!, row);
      }
      return pick(found, places[i]!, spans[i]!.from, counted[i]!, p, how);
    };
  });
}

type RowsFunction = (logprobs: numpy.Array, reference: numpy.Array | undefined) => numpy.Array;
type Jax = typeof import("@jax-js/jax");

let jax: Promise<Jax> | undefined;

function loadJax(): Promise<Jax> {
  jax ??= load();
  return jax;
}

async function load(): Promise<Jax> {
  try {
    const loaded = await import("@jax-js/jax");
    await loaded.init("wasm");
    return loaded;
  } catch (cause) {
    throw new UserError(
      "a differentiable regularizer needs the package @jax-js/jax, which cannot be loaded: npm install @jax-js/jax",
      { cause },
    );
  }
}

/** Rows are handed over in multiples of so many, since jax-js compiles its kernels for each number of rows anew. */
const BLOCK = 32;

/** The value of each row that counts, and its gradient with respect to the row's logits, one row after the other. */
interface Found {
  readonly values: Float32Array;
  readonly gradient: Float32Array;
}

function differentiate(
  { nn, numpy: np, vjp }: Jax,
  fn: RowsFunction,
  counted: readonly (readonly number[])[],
  logprobs: readonly Tensor[],
  references: readonly Tensor[] | undefined,
): Found {
  const rows = counted.reduce((sum, { length }) => sum + length, 0);
  if (rows === 0) return { values: new Float32Array(0), gradient: new Float32Array(0) };
  const shape = [BLOCK * Math.ceil(rows / BLOCK), logprobs[0]!.shape[1]!] as const;
  const reference = references && np.array(gather(references, counted, shape)).reshape([...shape]);
  const ofLogits = (z: numpy.Array) => fn(nn.logSoftmax(z), reference?.ref);
  const [values, back] = vjp(ofLogits, [np.array(gather(logprobs, counted, shape)).reshape([...shape])]);
  if (values.shape.length !== 1 || values.shape[0] !== shape[0]) {
    throw new UserError(
      `its function returned the shape ${formatShape(values.shape)} for ${formatShape(shape)} log-probabilities, expected ${formatShape([shape[0]])}: one value per row, as in .sum(-1)`,
    );
  }
  // Rows know nothing of each other, so that all gradients come at once.
  const [gradient] = back(np.ones([shape[0]]));
  const found = { values: values.dataSync() as Float32Array, gradient: gradient.dataSync() as Float32Array };
  back.dispose();
  reference?.dispose();
  return found;
}

/** The rows that count as one matrix, filled up with its first row. */
function gather(
  tensors: readonly Tensor[],
  counted: readonly (readonly number[])[],
  [rows, size]: readonly [number, number],
): Float32Array<ArrayBuffer> {
  const matrix = new Float32Array(rows * size);
  let at = 0;
  for (const [i, list] of counted.entries()) {
    for (const row of list) {
      matrix.set(tensors[i]!.data.subarray(row * size, (row + 1) * size), at);
      at += size;
    }
  }
  for (; at < matrix.length; at += size) matrix.copyWithin(at, 0, size);
  return matrix;
}

function startsOf(counted: readonly (readonly number[])[]): number[] {
  let start = 0;
  return counted.map(({ length }) => {
    start += length;
    return start - length;
  });
}

/** One datum's part of what was found, weighted and reduced. */
function pick(
  { values, gradient }: Found,
  start: number,
  from: number,
  counted: readonly number[],
  p: Tensor,
  { weights, totalWeight, addTo }: SpanOptions,
) {
  const size = p.shape[1]!;
  const perRow = new Float32Array(p.shape[0]!);
  let sum = 0;
  for (const [k, row] of counted.entries()) {
    const value = values[start + k]!;
    perRow[row] = value;
    sum += weights[row]! * value;
    const factor = (addTo.scale * weights[row]!) / totalWeight;
    if (factor === 0) continue;
    const own = gradient.subarray((start + k) * size, (start + k + 1) * size);
    if (Number.isFinite(value) && !own.every(Number.isFinite)) {
      throw new RangeError(`the gradient at position ${from + row} is not finite, though its value is ${value}`);
    }
    const to = addTo.gradient.data.subarray(row * size, (row + 1) * size);
    for (const [k, g] of own.entries()) to[k]! += factor * g;
  }
  return {
    value: sum === 0 ? 0 : sum / totalWeight,
    perRow: { data: perRow, shape: [perRow.length] },
    gradient: addTo.gradient,
    clippedShare: 0,
  };
}

function checkNormalized(side: "p" | "q", tensor: Tensor, row: number): void {
  const size = tensor.shape[1]!;
  const sum = sumOfRow(tensor, row * size, size);
  if (Math.abs(sum - 1) > NORMALIZATION_TOLERANCE) throw new NotNormalizedError(side, row, sum);
}
