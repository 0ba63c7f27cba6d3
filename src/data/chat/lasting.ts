import type { Stretch } from "../jinja/run.ts";
import type { RenderPrefix } from "./answer.ts";
import { commonLength } from "./common.ts";

export interface TurnEnds {
  readonly text: string;
  /** The number of the message that ends the text. */
  readonly last: number;
  readonly stretches: ReadonlyMap<number, Stretch>;
}

/** Up to so many turns are each compared with what is written when they are last. */
export const COMPARED = 64;
/** Of more turns, so many are, evenly spread, and as many of those that do not hold their content. */
const SAMPLED = 6;

/**
 * The turns that are written as they are when they are last, with where each ends; the others, whose reasoning a
 * template may leave out once a later turn is there, are not among them.
 *
 * In a conversation of very many turns some are compared; where one of them differs, those after the last that does are
 * taken, which is what templates do that keep the reasoning since the last question.
 */
export function lastingTurns(
  { text, last, stretches }: TurnEnds,
  contentOf: (turn: number) => string,
  prefix: RenderPrefix,
): Map<number, number> {
  const turns = [...stretches.keys()];
  let tail = "";
  const ends = new Map<number, number | undefined>();
  const endOf = (turn: number): number | undefined => {
    if (!ends.has(turn)) ends.set(turn, compare(turn));
    return ends.get(turn);
  };
  const compare = (turn: number): number | undefined => {
    if (turn === last) return text.length;
    const { end } = stretches.get(turn)!;
    const alone = prefix(turn + 1);
    if (alone === undefined) return end;
    const common = commonLength(alone, text);
    if (common < Math.min(end, alone.length)) return undefined;
    tail = text.slice(Math.min(end, common), end);
    return Math.min(end, common);
  };
  if (turns.length <= COMPARED) return new Map(turns.flatMap((turn) => pair(turn, endOf(turn))));

  const suspects = turns.filter((turn) => {
    const { start, end } = stretches.get(turn)!;
    return !text.slice(start, end).includes(contentOf(turn).trim());
  });
  const compared = [...spread(turns), ...suspects.slice(-SAMPLED), turns.at(-1)!].sort((a, b) => a - b);
  const differing = compared.findLast((turn) => endOf(turn) === undefined);
  const first = differing === undefined ? 0 : firstLasting(turns, turns.indexOf(differing), endOf);
  return new Map(
    turns.slice(first).flatMap((turn) => {
      const { end } = stretches.get(turn)!;
      if (ends.has(turn)) return pair(turn, ends.get(turn));
      return pair(turn, text.slice(0, end).endsWith(tail) ? end - tail.length : end);
    }),
  );
}

/** The first turn after one that differs from which on they last, by halving. */
function firstLasting(
  turns: readonly number[],
  differing: number,
  endOf: (turn: number) => number | undefined,
): number {
  let [below, above] = [differing, turns.length - 1];
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2);
    if (endOf(turns[middle]!) === undefined) below = middle;
    else above = middle;
  }
  return above;
}

function spread(turns: readonly number[]): number[] {
  return Array.from({ length: SAMPLED }, (_, i) => turns[Math.floor((i * turns.length) / SAMPLED)]!);
}

function pair(turn: number, end: number | undefined): [number, number][] {
  return end === undefined ? [] : [[turn, end]];
}
