/** A repository on a Hugging Face hub, and which of its states. */
export interface HubName {
  /** `ORG/NAME`. */
  readonly name: string;
  /** A branch, a tag or a commit; `main` unless written. */
  readonly revision: string;
}

/** The branch that is meant when no revision is written. */
export const MAIN = "main";

/** One part of a name, by the hub's rules: ASCII letters, digits, `_`, `-` and `.`, the last two not at its ends. */
const PART = /^(?![.-])[\w.-]{1,96}(?<![.-])$/;
/** A revision may be any name that git allows. */
const REVISION = /^(?![./-])[^\p{Cc}\s~^:?*[\\]+(?<![./])$/u;

/**
 * Reads `ORG/NAME` or `ORG/NAME@REVISION`; null for anything else, such as what begins with `.`, `/` or `~`.
 *
 * @example parseHubName("HuggingFaceTB/SmolLM2-135M-Instruct") // { name: "HuggingFaceTB/…", revision: "main" }
 */
export function parseHubName(text: string): HubName | null {
  const at = text.indexOf("@");
  const name = at === -1 ? text : text.slice(0, at);
  const revision = at === -1 ? MAIN : text.slice(at + 1);
  const parts = name.split("/");
  if (parts.length !== 2 || !parts.every((part) => PART.test(part))) return null;
  if (/--|\.\.|\.git$/.test(name)) return null;
  if (!REVISION.test(revision) || /\.\.|\/\/|@\{/.test(revision)) return null;
  return { name, revision };
}

/** As it is written: without the revision when that is `main`. */
export function formatHubName({ name, revision }: HubName): string {
  return revision === MAIN ? name : `${name}@${revision}`;
}
