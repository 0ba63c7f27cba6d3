import { UserError } from "../common/errors.ts";
import { untilAborted } from "../common/retry.ts";
import { type Datum, rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { type TopK, topK } from "../divergence/supports/top-k.ts";
import type { PromptTopK, SamplingClient } from "../model/contract.ts";
import type { Reference } from "./contract.ts";
import { rowNormalizer } from "./normalize-rows.ts";
import { RowCache } from "./row-cache.ts";
import { SERVER_DEFAULTS } from "./server/defaults.ts";
import { type Asked, namingReference, sharedReference } from "./shared-reference.ts";

/** Whatever scores prompts: an inference server, a remote sampling client. */
export interface PromptScorer extends Pick<SamplingClient, "promptTopK"> {
  /** For messages and the record of a run. Default `a model that scores prompts`. */
  readonly description?: string | undefined;
}

/** What is asked of a scorer. */
export interface PromptReferenceOptions {
  /** How many tokens to ask for at each position. Default 20. */
  readonly k?: number | undefined;
  /** The size of the model's vocabulary, which ids must be below. */
  readonly vocabSize: number;
}

/** Bytes of answers that are kept from step to step. */
const CACHE_BYTES = 256 << 20;

/**
 * A reference that scores prompts and returns its k likeliest tokens at each position, with 1 − Σ for all others together. It
 * is assumed not to change: answers are cached, up to 256 MB, and each datum is asked about once.
 *
 * @throws UserError for a client that does not score prompts; from `begin`, naming the datum, for token ids beyond the model's
 * vocabulary or rows that are not log-probabilities, and whatever the scorer throws.
 * @example promptReference(completionsServer({ url: "http://127.0.0.1:8000", model: "base" }), { k: 20, vocabSize: 49152 })
 */
export function promptReference(
  scorer: PromptScorer,
  { k = SERVER_DEFAULTS.k, vocabSize }: PromptReferenceOptions,
): Reference<TopK> {
  const { description = "a model that scores prompts" } = scorer;
  if (!scorer.promptTopK) {
    throw new UserError(
      `the reference (${description}) needs a client with promptTopK, which this one does not have: use baseReference for an embedded model, or targetsReference (its target tokens)`,
    );
  }
  const read = async ({ data, indices, step: { signal } }: Asked): Promise<readonly TopK[]> => {
    // The scorer handles time limits and retries itself, by request.
    const answers = await untilAborted(scorer.promptTopK!(data.map(promptOf), k, { signal }), signal);
    return answers.map((answer, i) => rowsOfPrompt(data[i]!, answer, k, vocabSize, formatDatum(data[i]!, indices[i]!)));
  };
  return sharedReference<TopK>({
    description,
    read: (asked) => namingReference(description, asked.step.signal, () => read(asked)),
    normalizeRows: rowNormalizer(description),
    cache: new RowCache(CACHE_BYTES),
  });
}

/** What the model reads, and one token more where the last position is asked about: a prompt is scored up to its last token. */
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
      `${name}: the reference returned token ${stray}, this model's vocabulary has ${vocabSize}: it must have the same tokenizer`,
    );
  }
  const shape = [rows, k];
  return topK({ data: tokens, shape }, { data: logprobs, shape });
}
