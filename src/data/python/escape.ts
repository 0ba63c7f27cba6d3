/** Text with the characters that HTML would read as its own replaced, as MarkupSafe does it. */
export function escapeHtml(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" };
  return text.replace(/[&<>'"]/g, (character) => names[character]!);
}
