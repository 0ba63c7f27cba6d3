import { UserError } from "../common/errors.ts";
import { type Datum, everyToken } from "../data/datum.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { SamplingClient } from "./legacy.ts";

export interface BaseSampleOptions {
  readonly samples: number;
  readonly max_tokens: number;
  /** 1 draws from the model's own distribution. */
  readonly temperature: number;
  readonly seed: number;
}

/**
 * Texts that the base itself would write: sampled from its beginning-of-text token until it ends them or `max_tokens`.
 * Every token is a row of weight 1.
 *
 * @throws UserError when the tokenizer names no token to begin with.
 */
export async function drawBaseSamples(
  base: Pick<SamplingClient, "sample">,
  tokenizer: Tokenizer,
  { samples, ...params }: BaseSampleOptions,
): Promise<Datum[]> {
  const start = tokenizer.bos;
  if (start === null) {
    throw new UserError(
      `the tokenizer in ${tokenizer.folder} names no bos_token to begin samples of the base with: write \`on: completions\`, or \`on: { file: PATH }\` with texts of your own`,
    );
  }
  const prompts = Array.from({ length: samples }, () => [start]);
  const drawn = await base.sample(prompts, { ...params, stop: tokenizer.stop });
  return drawn.map(({ tokens }, i) => everyToken([start, ...tokens], `base sample ${i + 1}`));
}
