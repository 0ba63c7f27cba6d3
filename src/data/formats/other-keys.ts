import { UserError } from "../../common/errors.ts";
import { meansLoss } from "../loss-keys.ts";

type Json = Readonly<Record<string, unknown>>;

/** Keys that mean something to other tools, and what to do where a format does not take them. */
const HINTS: Readonly<Record<string, string>> = {
  tools: "a chat template shows tools, so give the line as `messages`, or take it out",
  documents: "a chat template shows documents, so give the line as `messages`, or take it out",
  chat_template_kwargs: "it is for a chat template, so give the line as `messages`, or take it out",
  template_kwargs: "it is for a chat template, so give the line as `messages`, or take it out",
  functions: "give functions as `tools`, beside `messages`",
  system: "put it into `messages`, as the first, of role `system`",
  history: "put earlier turns into `messages`",
  input_ids: "give token ids as `tokens` and the loss weight of each as `weights`, or take it out",
};

const MEDIA = /^(images?|videos?|audios?|pixel_values)$/;

/** Keys of pairs of answers, the better one first. */
const PAIRS = [
  ["chosen", "rejected"],
  ["preferred_output", "non_preferred_output"],
] as const;

/** @throws UserError for a line that says which of two answers is better. */
export function refusePair(line: Json): void {
  for (const pair of PAIRS) {
    if (!pair.some((key) => isGiven(line[key]))) continue;
    throw new UserError(
      `this line is a preference pair (\`${pair[0]}\`, \`${pair[1]}\`), and klamp learns from answers alone: give the better one as the last of \`messages\`, or as \`completion\` beside its \`prompt\``,
    );
  }
}

/**
 * Refuses keys that would change what is learned and that the line's format does not take; all others (`id`, `source`, …)
 * are ignored, and so is what holds nothing.
 *
 * @param taken keys that the format takes, and requested fields.
 * @throws UserError naming the key, and what to do.
 */
export function refuseOtherKeys(line: Json, taken: readonly string[]): void {
  for (const key of Object.keys(line)) {
    if (taken.includes(key) || !isGiven(line[key])) continue;
    const what = hintOf(key, taken.includes("tokens"));
    if (what !== undefined) throw new UserError(`klamp would ignore \`${key}\`: ${what}`);
  }
}

function hintOf(key: string, isTokens: boolean): string | undefined {
  if (Object.hasOwn(HINTS, key)) return HINTS[key];
  if (MEDIA.test(key)) return "it learns from text alone, so take the line out, or the key where the text needs none";
  if (!meansLoss(key)) return undefined;
  if (isTokens) return "give the loss weight of each token as `weights`, or take it out";
  return "say with `weight`, of the line or of a message, how much it counts, or give `tokens` and `weights`, or take it out";
}

/** Whether a key's value says anything: files of many formats have all columns in every row. */
export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "" && !(Array.isArray(value) && value.length === 0);
}
