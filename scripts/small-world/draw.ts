/** Drawing from lists and ranges, for everything that this world makes up. */
import type { Random } from "../../src/common/random.ts";

/** One of the items, each as likely as the others. */
export function pick<T>(items: readonly T[], random: Random): T {
  return items[Math.floor(random() * items.length)];
}

/** A whole number from low to high, both included. */
export function between(low: number, high: number, random: Random): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** What a template's `{slot}` may be filled with. */
export type Slots = Readonly<Record<string, (random: Random) => string>>;

/** The template with every `{slot}` filled, each occurrence drawn anew. */
export function fill(template: string, slots: Slots, random: Random): string {
  return template.replace(/\{(\w+)\}/g, (_, slot: string) => {
    if (!Object.hasOwn(slots, slot)) throw new Error(`no slot {${slot}} for the template ${JSON.stringify(template)}`);
    return slots[slot](random);
  });
}

/** A generator that draws one of its parts by their shares, which need not add up to 1. */
export function mixture<T>(
  parts: readonly (readonly [share: number, draw: (random: Random) => T])[],
): (random: Random) => T {
  const total = parts.reduce((sum, [share]) => sum + share, 0);
  return (random) => {
    let rest = random() * total;
    for (const [share, draw] of parts) {
      rest -= share;
      if (rest < 0) return draw(random);
    }
    return parts[parts.length - 1][1](random); // rounding at the very end of the range
  };
}
