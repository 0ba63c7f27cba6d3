import { asSeenByOniguruma } from "./oniguruma.ts";

/** A token that is found in a text before anything else is done to it, or, `normalized`, after normalization. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
  /** Takes the white space on its left, or right, along. */
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  /** Not within a word. */
  readonly single_word?: boolean;
  readonly normalized?: boolean;
}

/** A part of a text, [from, to), and the added token that it is, if it is one. */
export interface Section {
  readonly token: AddedToken | null;
  readonly from: number;
  readonly to: number;
}

interface Node {
  readonly next: Map<number, Node>;
  token: AddedToken | null;
}

const isWord = (character: string) => WORD.test(asSeenByOniguruma(character));
const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

/** Splits a text at the added tokens in it: the leftmost, of those the longest. */
export function addedTokenSplitter(
  tokens: readonly AddedToken[],
  contentOf: (token: AddedToken) => string = ({ content }) => content,
): (text: string) => Section[] {
  const root: Node = { next: new Map(), token: null };
  for (const token of tokens) {
    let node = root;
    const content = contentOf(token);
    for (let i = 0; i < content.length; i++) {
      const unit = content.charCodeAt(i);
      if (!node.next.has(unit)) node.next.set(unit, { next: new Map(), token: null });
      node = node.next.get(unit)!;
    }
    if (content !== "") node.token = token;
  }
  if (root.next.size === 0) return ({ length }) => (length === 0 ? [] : [{ token: null, from: 0, to: length }]);

  /** The longest token that begins at `at`. */
  const longest = (text: string, at: number): { token: AddedToken; to: number } | null => {
    let found: { token: AddedToken; to: number } | null = null;
    let node: Node | undefined = root;
    for (let i = at; i < text.length; i++) {
      node = node.next.get(text.charCodeAt(i));
      if (node === undefined) break;
      if (node.token !== null) found = { token: node.token, to: i + 1 };
    }
    return found;
  };

  return (text) => {
    const sections: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length; ) {
      const found = longest(text, at);
      if (found === null) {
        at++;
        continue;
      }
      const { token } = found;
      let [from, to] = [at, found.to];
      at = to;
      if (token.single_word && (isWord(characterBefore(text, from)) || isWord(characterAt(text, to)))) continue;
      if (token.lstrip) while (from > done && SPACE.test(text[from - 1]!)) from--;
      if (token.rstrip) while (to < text.length && SPACE.test(text[to]!)) to++;
      if (token.lstrip) from = Math.max(from, done);
      if (done < from) sections.push({ token: null, from: done, to: from });
      sections.push({ token, from, to });
      // A token within the white space that the one before took along is found all the same, as in Python.
      done = to;
    }
    if (done < text.length) sections.push({ token: null, from: done, to: text.length });
    return sections;
  };
}

function characterAt(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined ? "" : String.fromCodePoint(code);
}

function characterBefore(text: string, at: number): string {
  return Array.from(text.slice(Math.max(0, at - 2), at)).at(-1) ?? "";
}
