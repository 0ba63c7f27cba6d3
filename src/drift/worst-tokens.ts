import type { Datum } from "../data/datum.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { MeasuredPart } from "../loss/metrics.ts";

/** A row of a step on which a regularizer measured much. */
export interface WorstRow {
  /** What was measured: `kl_divergence/kl`, the regularizer's name and its measure. */
  readonly measure: string;
  /** Of the row alone, unweighted; a divergence in nats. */
  readonly value: number;
  readonly datum: Datum;
  readonly row: number;
}

/** One line of `worst-tokens.jsonl`. */
export interface WorstToken {
  readonly step: number;
  readonly regularizer: string;
  /** Of this token alone, in nats where it is a divergence. */
  readonly value: number;
  /** The token that the text has here, and its id. */
  readonly token: string;
  readonly id: number;
  /** The last of the text before it, as much as the model had read. */
  readonly before: string;
  /** Where the text is from, as far as it is known. */
  readonly source: string | null;
  /** Of the last token that was read, in the text. */
  readonly position: number;
}

/** How many tokens of the text before are shown. */
const SHOWN = 16;

/** The rows of greatest value of each measure, at most so many, the greatest first; rows of value 0 are not among them. */
export function worstRows(parts: readonly MeasuredPart[], most: number): WorstRow[] {
  const found = new Map<string, WorstRow[]>();
  for (const { data, rows = {} } of parts) {
    for (const [measure, { values, weights }] of Object.entries(rows)) {
      const candidates = found.get(measure) ?? [];
      for (const [i, datum] of data.entries()) {
        for (const [row, value] of values[i]!.data.entries())
          if (value > 0 && weights[i]!.data[row]! > 0) candidates.push({ measure, value, datum, row });
      }
      found.set(measure, candidates.sort((a, b) => b.value - a.value).slice(0, most));
    }
  }
  return [...found.values()].flat();
}

/** The row as text. */
export function worstToken(
  step: number,
  { measure, value, datum, row }: WorstRow,
  tokenizer: Pick<Tokenizer, "decode">,
): WorstToken {
  const { modelInput, lossInputs, source } = datum;
  const position = lossInputs.positions?.data[row] ?? row;
  const id = lossInputs.target_tokens.data[row]!;
  const text = (tokens: ArrayLike<number>) => tokenizer.decode(tokens, { specialTokens: true });
  return {
    step,
    regularizer: measure.slice(0, measure.lastIndexOf("/")),
    value,
    token: text([id]),
    id,
    before: text(modelInput.subarray(Math.max(0, position + 1 - SHOWN), position + 1)),
    source: source ?? null,
    position,
  };
}
