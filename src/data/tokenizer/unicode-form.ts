import { type Aligned, AlignedWriter, cut } from "./aligned.ts";

export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** ASCII, or a character and what may melt into it: marks, the vowels and finals of Hangul. */
const CLUSTER = /[\0-\x7f]+(?![\p{M}\u1160-\u11ff])|[^\p{M}\u1160-\u11ff][\p{M}\u1160-\u11ff]*|[\p{M}\u1160-\u11ff]+/gu;

/**
 * Characters that the tables of Python's `tokenizers` (Unicode 9) know nothing of: there they neither change nor let a
 * mark pass. Found by comparing every character, alone and between marks; the bases of newer composites are among them.
 */
const UNKNOWN = new RegExp(
  `[${[
    String.raw`\u{7fd}\u{897}-\u{89f}\u{8ca}-\u{8d3}\u{9fe}\u{c3c}\u{d3b}-\u{d3c}\u{eba}\u{1715}\u{1abf}-\u{1add}`,
    String.raw`\u{1ae0}-\u{1aeb}\u{1df6}-\u{1dfa}\u{32ff}\u{a7f1}-\u{a7f4}\u{a82c}\u{ab69}\u{105c9}\u{105d2}`,
    String.raw`\u{105da}\u{105e4}\u{10781}-\u{10785}\u{10787}-\u{107b0}\u{107b2}-\u{107ba}\u{10d24}-\u{10d27}`,
    String.raw`\u{10d69}-\u{10d6d}\u{10eab}-\u{10eac}\u{10efa}-\u{10efb}\u{10efd}-\u{10eff}\u{10f46}-\u{10f50}`,
    String.raw`\u{10f82}-\u{10f85}\u{11070}\u{1133b}\u{11382}-\u{11385}\u{1138b}\u{1138e}\u{11390}-\u{11391}`,
    String.raw`\u{113c2}\u{113c5}\u{113c7}-\u{113c8}\u{113ce}-\u{113d0}\u{1145e}\u{11839}-\u{1183a}\u{11935}`,
    String.raw`\u{11938}\u{1193d}-\u{1193e}\u{11943}\u{119e0}\u{11a34}\u{11a47}\u{11a99}\u{11d42}`,
    String.raw`\u{11d44}-\u{11d45}\u{11d97}\u{11f41}-\u{11f42}\u{1611e}\u{16121}-\u{16129}\u{1612f}\u{16d63}`,
    String.raw`\u{16d67}-\u{16d6a}\u{16ff0}-\u{16ff1}\u{1ccd6}-\u{1ccf9}\u{1e030}-\u{1e06d}\u{1e08f}`,
    String.raw`\u{1e130}-\u{1e136}\u{1e2ae}\u{1e2ec}-\u{1e2ef}\u{1e4ec}-\u{1e4ef}\u{1e5ee}-\u{1e5ef}\u{1e6e3}`,
    String.raw`\u{1e6e6}\u{1e6ee}-\u{1e6ef}\u{1e6f5}\u{1f16c}\u{1fbf0}-\u{1fbf9}`,
  ].join("")}]`,
  "gu",
);

/** The text in a Unicode normalization form; what a cluster of characters becomes stands for the whole cluster. */
export function unicodeForm(source: Aligned, form: UnicodeForm): Aligned {
  const { text } = source;
  if (text.normalize(form) === text) return source;
  const writer = new AlignedWriter(text.length);
  let done = 0;
  for (const { 0: unknown, index } of text.matchAll(UNKNOWN)) {
    normalizeInto(writer, cut(source, done, index), form);
    done = index + unknown.length;
    writer.copy(source, index, done);
  }
  normalizeInto(writer, cut(source, done, text.length), form);
  return writer.result();
}

function normalizeInto(writer: AlignedWriter, source: Aligned, form: UnicodeForm): void {
  const { text, starts, ends } = source;
  const whole = text.normalize(form);
  if (whole === text) {
    writer.copy(source, 0, text.length);
    return;
  }
  const clusters = Array.from(text.matchAll(CLUSTER), ({ 0: cluster, index }) => ({
    from: index,
    to: index + cluster.length,
    cluster,
    normal: cluster.normalize(form),
  }));
  if (clusters.map(({ normal }) => normal).join("") !== whole) {
    // Two clusters melt into one: rare enough that the whole stretch may stand for the whole.
    writer.write(whole, starts[0]!, ends.at(-1)!);
    return;
  }
  for (const { from, to, cluster, normal } of clusters) {
    if (normal === cluster) writer.copy(source, from, to);
    else writer.write(normal, starts[from]!, ends[to - 1]!);
  }
}
