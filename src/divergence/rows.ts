import { NORMALIZATION_TOLERANCE, NotNormalizedError } from "./not-normalized.ts";
import {
  type DivergenceOptions,
  type GradientOptions,
  type Reduced,
  type Reduction,
  type Settings,
  settings,
  type WithGradient,
} from "./options.ts";
import { loadRow, type RowFormula, rowScratch, smoothRow, sumOfRow } from "./row.ts";
import { formatShape, sameShape, type Tensor } from "./tensor.ts";
import { rowWeights } from "./weights.ts";

/**
 * Applies a formula to every row of weight above 0, and reduces. The kernel computes the rows that it can, in several threads
 * if asked; the formula then computes those that are left. Sums are taken in the order of rows, in float64.
 *
 * @param p the model, [..., V]: one distribution per row along the last axis.
 * @param q the reference, shaped like p; undefined for formulas over one distribution.
 * @param gradients whether to compute gradients at all.
 * @throws RangeError for shapes that differ, invalid weights or options, or an empty vocabulary.
 * @throws NotNormalizedError for log-probabilities that do not sum to 1.
 */
export function overRows<R extends Reduction>(
  formula: RowFormula,
  p: Tensor,
  q: Tensor | undefined,
  options: DivergenceOptions<R> & GradientOptions,
  gradients: boolean,
): WithGradient<R> {
  if (q && !sameShape(p.shape, q.shape)) {
    throw new RangeError(
      `p is ${formatShape(p.shape)} and q ${formatShape(q.shape)}: both must have the same shape [..., V]`,
    );
  }
  checkSize("p", p);
  if (q) checkSize("q", q);
  const size = vocabularySize(p.shape);
  // First, since memory that grows moves the tensors in it.
  formula.kernel?.makeRoom(p, q, options.threads ?? 1);
  const set = settings(options);
  const rows = p.data.length / size;
  const { reduction, clip } = set;
  const { weights, divisor, scale: weightScale } = rowWeights(set.weights, set.totalWeight, rows);
  const perRow = output("out.perRow", options.out?.perRow, rows);
  const { gradient, add, scale } = gradients ? gradientOutput(options, p.data.length) : NO_GRADIENT;
  const row = rowScratch(size, gradients && scale !== 0);
  const values = new Float64Array(rows);
  const factors = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    const weight = weights ? weights[r]! : 1;
    const share = reduction === "none" ? 1 : reduction === "sum" ? weight / weightScale : weight / divisor;
    factors[r] = scale * share * set.inverseTemperature;
    if (weight !== 0) values[r] = Number.NaN;
  }
  formula.kernel?.compute(p, q, set, values, row.gradient && { into: gradient, factors, add });

  let sum = 0;
  let clipped = 0;
  for (let r = 0; r < rows; r++) {
    const from = r * size;
    const weight = weights ? weights[r]! : 1;
    if (weight === 0) {
      perRow[r] = 0;
      if (row.gradient && !add) gradient.fill(0, from, from + size);
      continue;
    }
    let value = values[r]!;
    const left = Number.isNaN(value);
    if (left) {
      load(p, "p", r, row.logP, row.p, set);
      if (q) {
        load(q, "q", r, row.logQ, row.q, set);
        if (set.epsilon > 0) smoothRow(row.logQ, row.q, set.epsilon);
      }
      row.index = r;
      value = formula(row);
    }
    const capped = value > clip;
    if (capped) {
      value = clip;
      clipped += weight;
    }
    perRow[r] = value;
    sum += weight * value;
    if (!row.gradient) continue;
    if (capped) {
      if (!add) gradient.fill(0, from, from + size);
    } else if (left) {
      if (!Number.isFinite(value) && !formula.keepsGradient) row.gradient.fill(Number.NaN);
      write(row.gradient, factors[r]!, gradient, from, add);
    }
  }

  const tensor: Tensor = { data: perRow, shape: p.shape.slice(0, -1) };
  // The mean of no rows is 0.
  const mean = sum === 0 ? 0 : sum / divisor;
  const value = reduction === "none" ? tensor : reduction === "sum" ? sum / weightScale : mean;
  return {
    value: value as Reduced<R>,
    perRow: tensor,
    gradient: (gradients && options.addTo?.gradient) || { data: gradient, shape: p.shape },
    clippedShare: clipped === 0 ? 0 : clipped / divisor,
  };
}

function write(row: Float64Array, factor: number, into: Float32Array, from: number, add: boolean): void {
  if (add) for (let i = 0; i < row.length; i++) into[from + i]! += factor * row[i]!;
  else for (let i = 0; i < row.length; i++) into[from + i] = factor * row[i]!;
}

function load(
  source: Tensor,
  side: "p" | "q",
  row: number,
  log: Float64Array,
  probability: Float64Array,
  set: Settings,
): void {
  const { check, inverseTemperature } = set;
  const logits = set.logits[side];
  const from = row * log.length;
  const tempered = inverseTemperature !== 1;
  const loaded = loadRow(source.data, from, log, probability, inverseTemperature, logits || tempered);
  if (logits || !check) return;
  const sum = tempered ? sumOfRow(source, from, log.length) : loaded;
  if (Math.abs(sum - 1) > NORMALIZATION_TOLERANCE) throw new NotNormalizedError(side, row, sum);
}

function checkSize(name: string, { data, shape }: Tensor): void {
  const size = shape.reduce((product, n) => product * n, 1);
  if (data.length !== size) {
    throw new RangeError(`${name} is ${formatShape(shape)} and holds ${data.length} numbers, expected ${size}`);
  }
}

function vocabularySize(shape: readonly number[]): number {
  const size = shape.at(-1);
  if (!size)
    throw new RangeError(
      `a distribution needs at least one outcome along the last axis, found shape ${formatShape(shape)}`,
    );
  return size;
}

const NO_GRADIENT = { gradient: new Float32Array(0), add: false, scale: 0 };

function gradientOutput(
  { out, addTo }: { readonly out?: { readonly gradient?: Tensor } } & GradientOptions,
  size: number,
) {
  if (!addTo) return { gradient: output("out.gradient", out?.gradient, size), add: false, scale: 1 };
  if (!Number.isFinite(addTo.scale)) throw new RangeError(`addTo.scale is ${addTo.scale}, expected a finite number`);
  return { gradient: output("addTo.gradient", addTo.gradient, size), add: true, scale: addTo.scale };
}

function output(name: string, given: Tensor | undefined, size: number): Float32Array {
  if (given && given.data.length !== size)
    throw new RangeError(`${name} holds ${given.data.length} numbers, expected ${size}`);
  return given?.data ?? new Float32Array(size);
}
