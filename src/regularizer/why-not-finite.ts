import type { Datum } from "../data/datum.ts";
import type { Direction } from "../divergence/kl-divergence.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { formatDatum } from "../reference/format-datum.ts";

/** A row of a divergence that came out as +∞ or NaN. */
interface Failure {
  readonly datum: Datum;
  readonly index: number;
  readonly row: number;
  /** Log-probabilities [M, V] of the model and the reference. */
  readonly p: Tensor;
  readonly q: Tensor;
  readonly direction: Direction;
  readonly symmetric: boolean;
  /** What the reference calls itself. */
  readonly description: string;
}

/** Finds the token to blame, and says in one sentence what is wrong with it and what to do. */
export function whyNotFinite({ datum, index, row, p, q, direction, symmetric, description }: Failure): string {
  const size = p.shape[1]!;
  const at = ({ data }: Tensor) => data.subarray(row * size, (row + 1) * size);
  const position = datum.lossInputs.positions?.data[row] ?? row;
  const where = `${formatDatum(datum, index)}, row ${row} (position ${position})`;
  for (const [whose, tensor] of [
    [`the reference (${description})`, q],
    ["the model", p],
  ] as const) {
    const token = at(tensor).findIndex(Number.isNaN);
    if (token >= 0) return `the log-probabilities of ${whose} hold NaN at ${where}, token ${token}: expected numbers`;
  }
  const [over, under] = direction === "forward" ? [at(p), at(q)] : [at(q), at(p)];
  const [holder, denier] = direction === "forward" ? ["the model", "the reference"] : ["the reference", "the model"];
  const formula = symmetric
    ? "the Jensen–Shannon divergence"
    : direction === "forward"
      ? "KL(model‖reference)"
      : "KL(reference‖model)";
  const token = under.findIndex(
    (logprob, i) => logprob === Number.NEGATIVE_INFINITY && over[i]! > Number.NEGATIVE_INFINITY,
  );
  if (token < 0) return `${formula} is not a finite number at ${where}`;
  // Smoothing touches the reference alone.
  const remedy =
    direction === "forward"
      ? "set epsilon to smooth the reference, or clip to cap each row"
      : "set clip to cap each row";
  return (
    `${formula} is infinite at ${where}: ${holder} gives token ${token} the probability ${Math.exp(over[token]!).toPrecision(3)}, ` +
    `${denier} (${direction === "forward" ? description : "log-probability −∞"}) none; ${remedy}`
  );
}
