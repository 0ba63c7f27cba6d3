import { expect, test } from "vitest";
import { everyToken } from "../../src/data/datum.ts";
import { worstPositions, worstToken } from "../../src/drift/worst-tokens.ts";

const DATUM = everyToken([1, 2, 3, 4, 5], "train.jsonl:7");

const values = (from: number, ...numbers: number[]) => ({ datum: DATUM, from, values: Float32Array.from(numbers) });

/** Tokens as themselves. */
const tokenizer = { decode: (tokens: ArrayLike<number>) => Array.from(tokens).join(" ") };

test("are the greatest of all parts, for each regularizer; positions of value 0 are not among them", () => {
  const kl = [values(0, 1, 3), values(2, 2, 0)];
  const found = worstPositions({ kl, other: [values(0, 7, 0, 0, 0)] }, 2);
  expect(found.map(({ regularizer, value, position }) => [regularizer, value, position])).toEqual([
    ["kl", 3, 1],
    ["kl", 2, 2],
    ["other", 7, 0],
  ]);
  expect(worstPositions({ kl: [values(0, 0, 0)] }, 2)).toEqual([]);
  expect(worstPositions({ kl }, 10)).toHaveLength(3);
});

test("say which token it was, after what, and where, also when the engine cut its datum", () => {
  const [worst] = worstPositions({ kl_divergence: [values(2, 1, 4)] }, 1);
  expect(worstToken(11, worst!, tokenizer)).toEqual({
    step: 11,
    regularizer: "kl_divergence",
    value: 4,
    token: "5",
    id: 5,
    before: "1 2 3 4",
    source: "train.jsonl:7",
    position: 3,
  });
});

test("show the last sixteen tokens of a long text", () => {
  const datum = everyToken(Array.from({ length: 40 }, (_, i) => i));
  const found = { datum, from: 0, values: Float32Array.from([...new Array(38).fill(1), 2]) };
  const [worst] = worstPositions({ kl: [found] }, 1);
  const shown = Array.from({ length: 16 }, (_, i) => 23 + i).join(" ");
  expect(worstToken(1, worst!, tokenizer)).toMatchObject({ before: shown, source: null, id: 39, position: 38 });
});
