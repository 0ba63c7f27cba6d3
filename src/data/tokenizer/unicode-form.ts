import { type Aligned, AlignedWriter } from "./aligned.ts";

export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** A character and what may melt into it: marks, the vowels and finals of Hangul. */
const CLUSTER = /[^\p{M}\u1160-\u11ff][\p{M}\u1160-\u11ff]*|[\p{M}\u1160-\u11ff]+/gu;

/** The text in a Unicode normalization form; what a cluster of characters becomes stands for the whole cluster. */
export function unicodeForm(source: Aligned, form: UnicodeForm): Aligned {
  const { text } = source;
  const whole = text.normalize(form);
  if (whole === text) return source;
  const writer = new AlignedWriter();
  for (const { 0: cluster, index } of text.matchAll(CLUSTER)) {
    const last = index + cluster.length;
    const normal = cluster.normalize(form);
    if (normal === cluster) writer.copy(source, index, last);
    else writer.write(normal, source.starts[index]!, source.ends[last - 1]!);
  }
  const result = writer.result();
  if (result.text === whole) return result;
  // Two clusters melt into one: rare enough that the whole stretch may stand for the whole.
  const coarse = new AlignedWriter();
  coarse.write(whole, source.starts[0]!, source.ends.at(-1)!);
  return coarse.result();
}
