import { withDefaults } from "../common/defaults.ts";
import { UserError } from "../common/errors.ts";
import { type Datum, everyToken } from "../data/datum.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { SamplingClient, Waiting } from "./contract.ts";

/** What is drawn, and how. Names as in a configuration and in the Tinker API. */
export interface BaseSampleOptions {
  /** Default 200. */
  readonly samples?: number | undefined;
  /** Default 36. */
  readonly max_tokens?: number | undefined;
  /** 1, the default, draws from the model's own distribution. */
  readonly temperature?: number | undefined;
  /** Default 1. */
  readonly seed?: number | undefined;
}

/** Defaults of samples of the base: what docs/evidence.md measures to keep most for least. */
export const BASE_SAMPLE_DEFAULTS = { samples: 200, max_tokens: 36, temperature: 1, seed: 1 } as const;

/** The most texts that are drawn at once: the error of a mean over so many is a thousandth of the spread. */
export const MOST_SAMPLES = 1_000_000;
/** The most tokens of all of them together: some 2 GB as data. */
const MOST_TOKENS = 100_000_000;

/**
 * Texts that the base itself would write: sampled from its beginning-of-text token until it ends them or `max_tokens`.
 * Every token counts with weight 1.
 *
 * @throws UserError when the tokenizer names no token to begin with, and for more texts than memory holds.
 */
export async function drawBaseSamples(
  base: Pick<SamplingClient, "sample">,
  tokenizer: Tokenizer,
  options: BaseSampleOptions = {},
  waiting?: Waiting,
): Promise<Datum[]> {
  const { samples, ...params } = withDefaults(BASE_SAMPLE_DEFAULTS, options);
  const start = tokenizer.bos;
  if (start === null) {
    throw new UserError(
      `the tokenizer in ${tokenizer.folder} names no bos_token to begin samples of the base with: write \`text: completions\`, or \`text: { file: PATH }\` with texts of your own`,
    );
  }
  if (!(samples <= MOST_SAMPLES && samples * params.max_tokens <= MOST_TOKENS)) {
    const most = `at most ${MOST_SAMPLES.toLocaleString("en")} samples and ${MOST_TOKENS.toLocaleString("en")} tokens fit in memory`;
    throw new UserError(
      `${samples} samples of the base of up to ${params.max_tokens} tokens: ${most}, draw fewer, or shorter ones`,
    );
  }
  const prompts = Array.from({ length: samples }, () => [start]);
  const drawn = await base.sample(prompts, { ...params, stop: tokenizer.stop }, waiting);
  return drawn.map(({ tokens }, i) => everyToken([start, ...tokens], `base sample ${i + 1}`));
}
