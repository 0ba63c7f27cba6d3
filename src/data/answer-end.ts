import type { ChatRenderer, Message } from "./chat/index.ts";

/** Where a model folder says that an answer ends. */
export interface EndSources {
  /** The file and the tokens it names, for each file that names some: `config.json`, [1, 7]. */
  readonly named: ReadonlyMap<string, readonly number[]>;
  /** What the chat template writes right after an assistant's words: see {@link templateEnd}. */
  readonly template: TemplateEnd;
  /** The text of a token, for messages. */
  readonly textOf: (id: number) => string;
}

/** `token` ends a turn; `nothing`: the template writes none; `unknown`: there is no template, or it takes no plain chat. */
export type TemplateEnd =
  | { readonly kind: "token"; readonly id: number }
  | { readonly kind: "nothing" }
  | { readonly kind: "unknown" };

/** The one rule for where an answer ends. */
export interface AnswerEnd {
  /** Ends a text, and an answer that its template does not end; null where the folder names no such token. */
  readonly eos: number | null;
  /** The tokens that end an answer: sampling stops at them, and scoring expects the first that is trained. */
  readonly stop: readonly number[];
  /** What a user should read before training: where the sources disagree, and what is done. */
  readonly notices: readonly string[];
}

/**
 * The tokens that end an answer: every one that the tokenizer, config.json, generation_config.json or the chat template
 * names. What is trained is what the template writes, or else EOS (the first file's first token), so it is always one of
 * them.
 */
export function answerEnd({ named, template, textOf }: EndSources): AnswerEnd {
  const files = [...named].filter(([, ids]) => ids.length > 0);
  const declared = new Set(files.flatMap(([, ids]) => ids));
  const eos = files[0]?.[1][0] ?? null;
  const stop = [...new Set([...declared, ...(template.kind === "token" ? [template.id] : [])])];
  const name = (id: number) => (textOf(id) === "" ? `token ${id}, which the tokenizer lacks` : `${textOf(id)} (${id})`);
  const list = (ids: Iterable<number>) => [...ids].map(name).join(", ");
  const notices: string[] = [];

  const others = files.slice(1).filter(([, ids]) => !ids.includes(eos!));
  if (others.length > 0) {
    const said = others.map(([file, ids]) => `${file} names ${list(ids)}`).join(" and ");
    notices.push(
      `${files[0]![0]} ends a text with ${name(eos!)}, but ${said}: klamp ends texts with ${name(eos!)}, and an answer ends at any of ${list(stop)}`,
    );
  }
  if (template.kind === "token" && !declared.has(template.id)) {
    const said =
      files.length === 0
        ? "no file names an EOS"
        : `${files.map(([file]) => file).join(", ")} ${files.length === 1 ? "names" : "name"} ${list(declared)}`;
    notices.push(
      `the chat template ends an answer with ${name(template.id)}, but ${said}: in chats klamp trains ${name(template.id)}, and an answer ends at any of ${list(stop)}; a server that follows these files would not stop there, so add ${template.id} to eos_token_id in generation_config.json`,
    );
  }
  if (template.kind === "nothing") {
    notices.push(
      eos === null
        ? "the chat template writes no token that ends an answer, and no file names an EOS: answers end only at the limit of tokens"
        : `the chat template writes no token that ends an answer: klamp ends the last answer of a conversation with ${name(eos)}, and stops there`,
    );
  }
  return { eos, stop, notices };
}

/** Two answers; what is written after both alike is what ends one. */
const WORDS = ["klamp asks where this answer ends", "what is written after both is the end"] as const;

/**
 * The first token of those in `isEnd` that a chat template writes after the words of an assistant.
 *
 * @param tokenize the tokens of a text, special ones that are written in it included.
 */
export function templateEnd(
  renderer: (() => Pick<ChatRenderer, "render">) | null,
  tokenize: (text: string) => ArrayLike<number>,
  isEnd: (id: number) => boolean,
): TemplateEnd {
  if (renderer === null) return { kind: "unknown" };
  for (const chat of [plain, withSystem, inParts]) {
    let written: readonly string[];
    try {
      const { render } = renderer();
      written = WORDS.map((words) => render({ messages: chat(words) }).text);
    } catch {
      continue;
    }
    const [one, other] = written as [string, string];
    if (one === other) continue;
    const id = Array.from(tokenize(commonEnd(one, other))).find(isEnd);
    return id === undefined ? { kind: "nothing" } : { kind: "token", id };
  }
  return { kind: "unknown" };
}

const plain = (words: string): Message[] => [
  { role: "user", content: "klamp asks" },
  { role: "assistant", content: words },
];
const withSystem = (words: string): Message[] => [{ role: "system", content: "klamp" }, ...plain(words)];
const inParts = (words: string): Message[] =>
  plain(words).map(({ role, content }) => ({ role, content: [{ type: "text", text: content as string }] }));

function commonEnd(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one.at(-1 - length) === other.at(-1 - length)) length++;
  return one.slice(one.length - length);
}
