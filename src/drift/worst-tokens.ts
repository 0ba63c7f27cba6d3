import type { Datum } from "../data/datum.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { PositionValues } from "../loss/contract.ts";

/** A position of a step at which a regularizer measured much. */
export interface WorstPosition {
  readonly regularizer: string;
  /** Of the position alone, unweighted; a divergence in nats. */
  readonly value: number;
  readonly datum: Datum;
  /** Which position of the datum. */
  readonly position: number;
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

/** The positions of greatest value of each regularizer, at most so many, the greatest first; none of value 0. */
export function worstPositions(
  positions: Readonly<Record<string, readonly PositionValues[]>>,
  most: number,
): WorstPosition[] {
  return Object.entries(positions).flatMap(([regularizer, measured]) => {
    const candidates = measured.flatMap(({ datum, from, values }) =>
      Array.from(values, (value, i) => ({ regularizer, value, datum, position: from + i })),
    );
    return candidates
      .filter(({ value }) => value > 0)
      .sort((a, b) => b.value - a.value)
      .slice(0, most);
  });
}

/** The position as text. */
export function worstToken(
  step: number,
  { regularizer, value, datum, position: row }: WorstPosition,
  tokenizer: Pick<Tokenizer, "decode">,
): WorstToken {
  const { modelInput, lossInputs, source } = datum;
  const position = lossInputs.positions?.data[row] ?? row;
  const id = lossInputs.target_tokens.data[row]!;
  const text = (tokens: ArrayLike<number>) => tokenizer.decode(tokens, { specialTokens: true });
  return {
    step,
    regularizer,
    value,
    token: text([id]),
    id,
    before: text(modelInput.subarray(Math.max(0, position + 1 - SHOWN), position + 1)),
    source: source ?? null,
    position,
  };
}
