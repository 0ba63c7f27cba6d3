import { expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { fieldReference } from "../../src/reference/index.ts";
import { logprobs } from "../divergence/oracle.ts";
import { datumOf } from "../regularizer/datums.ts";
import { rowsOf } from "./asking.ts";

const [A, B] = [logprobs([[0.5, 0.5]]), logprobs([[0.1, 0.9]])] as const;
const BARE = datumOf([1], { source: "train.jsonl:4" });

test("each datum brings its own rows", async () => {
  const data = [A, B].map((base) => datumOf([1], { fields: { base } }));
  expect(await rowsOf(fieldReference("base"), data)).toEqual([A, B]);
  expect(await rowsOf(fieldReference("base"), data.toReversed())).toEqual([B, A]);
});

test("the datum that lacks the field is named, with the fields it has", async () => {
  const data = [datumOf([1], { fields: { base: A } }), BARE];
  const found = rowsOf(fieldReference("base"), data);
  await expect(found).rejects.toThrow(UserError);
  await expect(found).rejects.toThrow(
    'datum 1 (train.jsonl:4) has no field "base" for the reference; it has target_tokens, weights:',
  );
});

test("token ids are not log-probabilities", async () => {
  await expect(rowsOf(fieldReference("target_tokens"), [BARE])).rejects.toThrow(
    'the field "target_tokens" of datum 0 (train.jsonl:4) holds token ids',
  );
});
