/** How many UTF-16 units two texts have in common at their start, from `from` on; no character is cut in two. */
export function commonLength(a: string, b: string, from = 0): number {
  const end = Math.min(a.length, b.length);
  let i = from;
  while (i < end && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  const before = a.charCodeAt(i - 1);
  return i > 0 && i < end && before >= 0xd800 && before <= 0xdbff ? i - 1 : i;
}
