import { type Datum, everyToken } from "../../../src/data/datum.ts";
import { rowsOf } from "../../../src/engine/tinker/rows.ts";
import {
  decodeForwardBackwardOutput,
  decodeForwardBackwardRequest,
  encodeForwardBackwardOutput,
  encodeForwardBackwardRequest,
} from "../../../src/engine/tinker/wire/forward-backward.ts";
import { decodeSampleResponse, encodeSampleResponse } from "../../../src/engine/tinker/wire/sample.ts";
import { answerSchema, echoedPlaces, placesOf, toTopK } from "../../../src/reference/server/places.ts";
import type { FuzzKind } from "../kind.ts";
import { mutateBytes, mutateTree } from "../mutate.ts";

const floats = (length: number) => Float32Array.from({ length }, (_, i) => -i);
const ints = (length: number) => Int32Array.from({ length }, (_, i) => i);

const OUTPUT = encodeForwardBackwardOutput({
  outputs: [1, 2].map((n) => ({
    logprobs: { data: floats(4 * n), shape: [4 * n] },
    wide: { data: floats(6), shape: [3, 2] },
  })),
  metrics: { "loss:sum": 1.5, "count:max": 3 },
});
const SAMPLED = encodeSampleResponse({
  sequences: [{ tokens: ints(5), logprobs: floats(5), stop_reason: "stop" }],
  prompt_logprobs: floats(4),
  topk_prompt_logprobs: { token_ids: ints(8), logprobs: floats(8), k: 2, prompt_length: 4 },
});
const REQUEST = encodeForwardBackwardRequest({
  model_id: "model",
  seq_id: 3,
  data: [
    {
      tokens: ints(4),
      lossInputs: { target_tokens: { data: ints(4), shape: [4] }, weights: { data: floats(4), shape: [4] } },
    },
  ],
  loss_fn: "cross_entropy",
  loss_fn_config: { a: 1 },
  forward_only: false,
});
const DATUM: Datum = everyToken([1, 2, 3, 4, 5], "text");

/** Answers of a Tinker server, and requests to klamp's own, in protobuf. */
export const protobuf: FuzzKind = {
  name: "protobuf",
  share: 10,
  open: async () => (choices) => {
    const [bytes, decode] = choices.of<readonly [Uint8Array, (bytes: Uint8Array) => unknown]>([
      [OUTPUT, (bytes) => decodeForwardBackwardOutput(bytes).outputs.map(({ logprobs }) => rowsOf(DATUM, logprobs))],
      [SAMPLED, decodeSampleResponse],
      [REQUEST, decodeForwardBackwardRequest],
    ]);
    decode(mutateBytes(bytes, choices));
  },
};

const COMPLETIONS = {
  choices: [
    {
      index: 0,
      prompt_logprobs: [
        null,
        { 3: { logprob: -1, decoded_token: "a" }, 4: { logprob: -2 } },
        { 5: { logprob: -1 }, 6: { logprob: -3 } },
      ],
      logprobs: {
        tokens: ["token_id:1", "token_id:2", "token_id:3"],
        top_logprobs: [null, { "token_id:3": -1, "token_id:4": -2 }, { "token_id:5": -1, "token_id:6": -2 }],
      },
    },
  ],
};

/** Answers of a server that scores prompts, in JSON. */
export const completions: FuzzKind = {
  name: "completions",
  share: 5,
  open: async () => (choices) => {
    const answer = answerSchema.safeParse(mutateTree(COMPLETIONS, choices));
    for (const choice of answer.data?.choices ?? []) {
      const prompt = Int32Array.of(1, 2, 3);
      const places = choices.chance(0.5)
        ? placesOf(choice, "http://server")
        : echoedPlaces(choice, prompt, "http://server");
      toTopK(places, prompt, 2, "http://server");
    }
  },
};
