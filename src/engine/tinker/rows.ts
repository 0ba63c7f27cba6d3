import { UserError } from "../../common/errors.ts";
import { type Datum, rowCount } from "../../data/datum.ts";
import { formatShape, type IntTensor, type Tensor } from "../../divergence/tensor.ts";
import type { WireDatum } from "./wire/forward-backward.ts";
import type { WireTensor } from "./wire/tensor.ts";

/*
 * A datum of klamp's has M positions, each after a token of its choice. On Tinker's wire loss inputs are [N], one position a
 * token, or [N, K], K positions a token. Both say the same: positions become cells, and cells without one get weight 0.
 */

/** The cell of [N, K] that holds each position, and K: how many positions the fullest token has. */
function cellsOf(datum: Datum): { cells: Int32Array; width: number } {
  const rows = rowCount(datum);
  const length = datum.modelInput.length;
  const positions = datum.lossInputs.positions?.data;
  const where = datum.source ? ` of ${datum.source}` : "";
  if (!positions && rows !== length) {
    throw new UserError(
      `the datum${where} has ${rows} targets for ${length} tokens, expected one a token, or \`positions\` that say where they are`,
    );
  }
  const at = Int32Array.from({ length: rows }, (_, row) => positions?.[row] ?? row);
  const filled = new Int32Array(length);
  const places = at.map((position) => {
    if (position < 0 || position >= length)
      throw new UserError(`the datum${where} has a row at position ${position} of ${length} tokens`);
    return filled[position]++;
  });
  const width = filled.reduce((most, n) => Math.max(most, n), 1);
  return { cells: at.map((position, row) => position * width + places[row]!), width };
}

/** A datum as Tinker's wire has it. */
export function toWire(datum: Datum): WireDatum {
  const { cells, width } = cellsOf(datum);
  const length = datum.modelInput.length;
  const shape = width === 1 ? [length] : [length, width];
  const targets = new Int32Array(length * width);
  const weights = new Float32Array(length * width);
  cells.forEach((cell, row) => {
    targets[cell] = datum.lossInputs.target_tokens.data[row]!;
    weights[cell] = datum.lossInputs.weights.data[row]!;
  });
  return {
    tokens: datum.modelInput,
    lossInputs: { target_tokens: { data: targets, shape }, weights: { data: weights, shape } },
  };
}

/** What the wire has for each cell of a datum, as one number for each of its positions, [M]. */
export function rowsOf(datum: Datum, tensor: WireTensor | undefined): Tensor {
  const { cells, width } = cellsOf(datum);
  const expected = datum.modelInput.length * width;
  if (tensor?.data.length !== expected) {
    const found = tensor ? formatShape(tensor.shape) : "none";
    throw new UserError(
      `the server sent log-probabilities of shape ${found} for ${datum.modelInput.length} tokens with ${width} targets each`,
    );
  }
  return { data: Float32Array.from(cells, (cell) => tensor.data[cell]!), shape: [cells.length] };
}

/** The datum that a wire datum stands for: every cell is a position. */
export function fromWire({ tokens, lossInputs }: WireDatum, source: string): Datum {
  const { target_tokens, weights } = lossInputs;
  if (!target_tokens || !isInteger(target_tokens))
    throw new UserError(`${source} has no integer loss input target_tokens`);
  const size = target_tokens.data.length;
  const [length, width = 1] = target_tokens.shape;
  if (length !== tokens.length || target_tokens.shape.length > 2) {
    throw new UserError(
      `${source} has target_tokens of shape ${formatShape(target_tokens.shape)}, expected [${tokens.length}] or [${tokens.length}, K]`,
    );
  }
  if (weights && formatShape(weights.shape) !== formatShape(target_tokens.shape)) {
    throw new UserError(
      `${source} has weights of shape ${formatShape(weights.shape)} and target_tokens of shape ${formatShape(target_tokens.shape)}, expected equal shapes`,
    );
  }
  const positions = Int32Array.from({ length: size }, (_, cell) => Math.floor(cell / width));
  return {
    modelInput: tokens,
    lossInputs: {
      target_tokens: { data: target_tokens.data, shape: [size] },
      weights: { data: weights ? Float32Array.from(weights.data) : new Float32Array(size).fill(1), shape: [size] },
      ...(width > 1 && { positions: { data: positions, shape: [size] } }),
    },
    source,
  };
}

const isInteger = (tensor: WireTensor): tensor is IntTensor => tensor.data instanceof Int32Array;
