/** Lines of at most `width` columns, the first of so many fewer; what stands in braces stays together. */
export function wrapText(text: string, width: number, less = 0): string[] {
  const lines: string[] = [];
  for (const word of text.match(/\{(?:[^{}]|\{[^}]*\})*\}\S*|\S+/g) ?? []) {
    const last = lines.at(-1);
    const room = width - (lines.length === 1 ? less : 0);
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
