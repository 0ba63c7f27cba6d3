import { UserError } from "../common/errors.ts";
import { type Datum, rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { type TopK, topK } from "../divergence/supports/top-k.ts";
import { computedReference } from "./computed.ts";
import type { Reference } from "./legacy.ts";
import { rowsOf } from "./rows-of.ts";

/** The tokens that could stand at each place of one prompt of N tokens, row-major [N, k]. Row 0 has nothing before it and means nothing. */
export interface PromptTopK {
  readonly tokens: Int32Array;
  /** Natural log-probabilities in the whole vocabulary, given the tokens before the place. */
  readonly logprobs: Float32Array;
}

/** Whatever scores prompts: an inference server, a remote sampling client. */
export interface PromptScorer {
  /** For messages and the record of a run. */
  readonly description: string;
  /** The k likeliest tokens at each place of each prompt. @throws UserError when fewer are known. */
  promptTopK(
    prompts: readonly Int32Array[],
    k: number,
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly PromptTopK[]>;
}

/** What is asked of a scorer. */
export interface PromptReferenceOptions {
  /** How many tokens of each row to know. */
  readonly k: number;
  /** The size of the model's vocabulary, which ids are held to. */
  readonly vocabSize: number;
}

/**
 * A reference that scores prompts and tells its k likeliest tokens at each place, with 1 − Σ for all others together. It is
 * taken not to change: a datum is asked about once, and its answer kept for as long as the datum is.
 *
 * @throws UserError from `resolve`, naming the datum, for token ids beyond the model's vocabulary or rows that are no
 * log-probabilities, and whatever the scorer throws.
 * @example promptReference(completionsServer({ url: "http://127.0.0.1:8000", model: "base" }), { k: 20, vocabSize: 49152 })
 */
export function promptReference(scorer: PromptScorer, { k, vocabSize }: PromptReferenceOptions): Reference<TopK> {
  const { description } = scorer;
  const known = new WeakMap<Datum, TopK>();
  const ask = async (data: readonly Datum[], signal: AbortSignal): Promise<readonly TopK[]> => {
    const find = (datum: Datum) => rowsOf(datum, (whole) => known.get(whole));
    const unknown = [...new Set(data)].filter((datum) => !find(datum));
    const answers = unknown.length > 0 ? await scorer.promptTopK(unknown.map(promptOf), k, { signal }) : [];
    for (const [i, datum] of unknown.entries()) {
      known.set(datum, rowsOfPrompt(datum, answers[i]!, k, vocabSize, formatDatum(datum, data.indexOf(datum))));
    }
    return data.map((datum) => find(datum)!);
  };
  // The scorer sees to time limits and failures itself, a request at a time.
  return computedReference((data, { signal }) => ask(data, signal), {
    description,
    retries: 0,
    timeout: Number.POSITIVE_INFINITY,
  });
}

/** What the model reads, and one token more where the last place is asked about: a prompt is scored up to its last token. */
export function promptOf({ modelInput, lossInputs: { target_tokens, positions } }: Datum): Int32Array {
  const last = modelInput.length - 1;
  const row = positions ? positions.data.indexOf(last) : last;
  return row < 0 ? modelInput : Int32Array.of(...modelInput, target_tokens.data[row]!);
}

function rowsOfPrompt(datum: Datum, answer: PromptTopK, k: number, vocabSize: number, name: string): TopK {
  const rows = rowCount(datum);
  const tokens = new Int32Array(rows * k);
  const logprobs = new Float32Array(rows * k);
  for (let row = 0; row < rows; row++) {
    const from = ((datum.lossInputs.positions?.data[row] ?? row) + 1) * k;
    tokens.set(answer.tokens.subarray(from, from + k), row * k);
    logprobs.set(answer.logprobs.subarray(from, from + k), row * k);
  }
  const stray = tokens.find((token) => token < 0 || token >= vocabSize);
  if (stray !== undefined) {
    throw new UserError(
      `${name}: it knows a token ${stray}, this model's vocabulary has ${vocabSize}: the reference must have the same tokenizer`,
    );
  }
  const shape = [rows, k];
  return topK({ data: tokens, shape }, { data: logprobs, shape });
}
