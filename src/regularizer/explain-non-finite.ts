import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { KLOptions } from "../divergence/kl-divergence.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Span } from "../loss/contract.ts";
import { isTopK, type ReferenceRows } from "../reference/contract.ts";

/** A position whose value came out as infinite or NaN. */
interface Failure {
  readonly datum: Datum;
  readonly span: Span;
  /** Which row of the span. */
  readonly row: number;
  /** Log-probabilities [n, V] of the model. */
  readonly p: Tensor;
  /** Where there is a reference. */
  readonly q: ReferenceRows | undefined;
  /** Of what was computed. */
  readonly formula: string;
  /** Which way it looks, if an outcome can be impossible on the other side. */
  readonly direction: KLOptions["direction"] | undefined;
  /** What the reference calls itself. */
  readonly description: string;
}

/** Finds the token to blame, and says in one sentence what is wrong with it and what to do. */
export function explainNonFinite({ datum, span, row, p, q, formula, direction, description }: Failure): string {
  const outcomes = outcomesOf(p, q, row);
  const position = span.from + row;
  const token = datum.lossInputs.positions?.data[position] ?? position;
  const where = `${formatDatum(datum, span.index)}, position ${position} (after token ${token} of the input)`;
  for (const [whose, side] of [
    [`the reference (${description})`, "q"],
    ["the model", "p"],
  ] as const) {
    const broken = outcomes.find((outcome) => Number.isNaN(outcome[side]));
    if (broken) return `the log-probabilities of ${whose} hold NaN at ${where}, ${broken.name}: expected numbers`;
  }
  const [over, under] = direction === "p||q" ? (["p", "q"] as const) : (["q", "p"] as const);
  const [holder, denier] = direction === "p||q" ? ["the model", "the reference"] : ["the reference", "the model"];
  const impossible = outcomes.find(
    (outcome) => outcome[under] === Number.NEGATIVE_INFINITY && outcome[over] > Number.NEGATIVE_INFINITY,
  );
  if (!direction || !impossible) return `${formula} is not a finite number at ${where}`;
  // Smoothing touches the reference alone.
  const remedy =
    direction === "p||q" ? "set epsilon to smooth the reference, or clip to cap each row" : "set clip to cap each row";
  return (
    `${formula} is infinite at ${where}: ${holder} gives ${impossible.name} the probability ${Math.exp(impossible[over]).toPrecision(3)}, ` +
    `${denier} (${direction === "p||q" ? description : "log-probability −∞"}) none; ${remedy}`
  );
}

/** The outcomes of one row with their log-probabilities: all tokens, or those of a top-k and the rest. */
function outcomesOf(p: Tensor, q: ReferenceRows | undefined, row: number): { name: string; p: number; q: number }[] {
  const size = p.shape[1]!;
  const model = p.data.subarray(row * size, (row + 1) * size);
  const named = (token: number, logprob: number) => ({ name: `token ${token}`, p: model[token]!, q: logprob });
  if (!q) return [...model].map((logprob, i) => ({ name: `token ${i}`, p: logprob, q: 0 }));
  if (!isTopK(q)) return [...q.data.subarray(row * size, (row + 1) * size)].map((logprob, i) => named(i, logprob));
  const k = q.tokens.shape.at(-1)!;
  const tokens = [...q.tokens.data.subarray(row * k, (row + 1) * k)];
  const outcomes = tokens.map((token, i) => named(token, q.logprobs.data[row * k + i]!));
  if (!q.tail) return outcomes;
  const inside = new Set(tokens);
  let rest = 0;
  for (const [token, logprob] of model.entries()) if (!inside.has(token)) rest += Math.exp(logprob);
  return [...outcomes, { name: "the tokens outside its top-k", p: Math.log(rest), q: q.tail.data[row]! }];
}
