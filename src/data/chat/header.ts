import { commonLength } from "./common.ts";

/**
 * How much of what is written for a turn is the prompt that the model is given to begin it with. Where the turn does not
 * begin with the whole prompt (as where the prompt opens a thought that the turn has not), it is the common part, up to
 * where the content begins, or a mark ends that both have.
 */
export function headerLength(written: string, prompt: string, content: string): number {
  const common = commonLength(written, prompt);
  if (common === prompt.length) return common;
  const said = content.trim();
  const begins = said === "" ? -1 : written.indexOf(said);
  if (begins !== -1) return Math.min(common, begins);
  return /^[\s\S]*[\s>\]]/.exec(written.slice(0, common))?.[0].length ?? common;
}
