import { endOfString } from "./end-of-string.ts";

const [QUOTE, COMMA] = [0x22, 0x2c];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];

/** The first key that an object of valid JSON text, at any depth, has twice. Linear in the text, and flat. */
export function doubledKey(text: string): string | undefined {
  /** The keys of each open object, null for a list. */
  const open: (Set<string> | null)[] = [];
  let keyIsNext = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const end = endOfString(text, i);
        if (keyIsNext) {
          const written = text.slice(i + 1, end);
          const key = written.includes("\\") ? (JSON.parse(`"${written}"`) as string) : written;
          const keys = open.at(-1)!;
          if (keys.has(key)) return key;
          keys.add(key);
          keyIsNext = false;
        }
        i = end;
        break;
      }
      case OPEN_BRACE:
        open.push(new Set());
        keyIsNext = true;
        break;
      case OPEN_BRACKET:
        open.push(null);
        keyIsNext = false;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        open.pop();
        keyIsNext = false;
        break;
      case COMMA:
        keyIsNext = open.at(-1) !== null;
        break;
    }
  }
  return undefined;
}
