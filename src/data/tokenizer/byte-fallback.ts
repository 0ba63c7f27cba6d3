const encoder = new TextEncoder();

/** The ids of the tokens `<0x00>` to `<0xFF>` that spell a text in UTF-8; null where the vocabulary lacks one of them. */
export function bytesOf(text: string, vocabulary: ReadonlyMap<string, number>): number[] | null {
  const ids: number[] = [];
  for (const byte of encoder.encode(text)) {
    const id = vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    if (id === undefined) return null;
    ids.push(id);
  }
  return ids;
}

/** The byte that a token of this form stands for; null for any other token. */
export function byteOf(token: string): number | null {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : null;
}
