const [QUOTE, BACKSLASH] = [0x22, 0x5c];

/** Where the JSON string that begins at `begin` ends: the index of its closing quote. */
export function endOfString(text: string, begin: number): number {
  for (let i = begin + 1; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === BACKSLASH) i++;
    else if (unit === QUOTE) return i;
  }
  return text.length;
}
