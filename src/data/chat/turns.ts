import type { Pass, Stretch } from "../jinja/run.ts";
import type { Dict } from "../python/values.ts";

/**
 * Where each message is written, told by the passes of the loop that writes them: a pass over the message itself, or,
 * in a loop that has as many passes as there are messages, the pass of its number. Undefined where no pass is its own.
 */
export function turnStretches(messages: readonly Dict[], passes: readonly Pass[]): (Stretch | undefined)[] {
  let best: (Stretch | undefined)[] = messages.map(() => undefined);
  for (const loop of loopsOf(passes)) {
    const found = stretchesOf(messages, loop);
    if (written(found) > written(best)) best = found;
  }
  return best;
}

function loopsOf(passes: readonly Pass[]): Pass[][] {
  const loops = new Map<number, Pass[]>();
  for (const pass of passes) {
    const before = loops.get(pass.loop);
    if (before === undefined) loops.set(pass.loop, [pass]);
    else before.push(pass);
  }
  return [...loops.values()];
}

function stretchesOf(messages: readonly Dict[], loop: readonly Pass[]): (Stretch | undefined)[] {
  const found: (Stretch | undefined)[] = messages.map(() => undefined);
  let next = 0;
  for (const { item, index, start, end } of loop) {
    let at = messages.indexOf(item as Dict, next);
    if (at === -1 && loop.length === messages.length) at = index;
    if (at === -1) continue;
    found[at] = { start, end };
    next = at + 1;
  }
  return found;
}

function written(stretches: readonly (Stretch | undefined)[]): number {
  return stretches.reduce((sum, stretch) => sum + (stretch === undefined ? 0 : stretch.end - stretch.start), 0);
}
