import type { Choices } from "./random.ts";

/** @file Sound input made hostile: single bytes, pieces of text, and values in a tree of JSON. */

/** Numbers at which something ends. */
const NUMBERS: readonly unknown[] = [
  ...[0, -1, 1, 0.5, -0.5, 2, 3, 7, 255, 65536, 1e9, -1e9, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 - 1, 2 ** 63],
  ...[1e308, -1e308, 1e-320, 1e-45, 1e-30, 1e39],
];

const OTHERS: readonly unknown[] = [
  ...[
    null,
    true,
    false,
    "",
    " ",
    "\0",
    "\ud800",
    "a".repeat(1000),
    "__proto__",
    "constructor",
    "toString",
    "../..",
    "0",
  ],
  ...[[], {}, [[]], [null], [0], ["a"], { a: 1 }, { content: "a" }, { type: "Sequence" }, { __proto__: null }],
];

/** A value that no reader expects at most places. */
export function hostile(choices: Choices): unknown {
  if (choices.chance(0.5)) return choices.of(NUMBERS);
  if (choices.chance(0.05)) return nested(choices.of([10, 300, 1500]));
  return structuredClone(choices.of(OTHERS));
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

type Holder = Record<string, unknown>;

/** Every place of a tree: the holder of a value, and its key. */
function placesOf(tree: unknown): [Holder, string][] {
  const places: [Holder, string][] = [];
  const open = [tree];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (typeof at !== "object" || at === null) continue;
    const keys = Object.keys(at);
    // Of a vocabulary some entries are enough.
    for (const key of keys.length > 50 ? keys.slice(0, 25).concat(keys.slice(-25)) : keys) {
      places.push([at as Holder, key]);
      open.push((at as Holder)[key]);
    }
  }
  return places;
}

/** A copy of a tree with one to three places changed: another value, a number a little off, left out, doubled, or swapped. */
export function mutateTree<T>(original: T, choices: Choices): T {
  const tree = structuredClone(original);
  const places = placesOf(tree);
  for (let left = 1 + choices.below(3); left > 0 && places.length > 0; left--) {
    const [holder, key] = choices.of(places);
    const found = holder[key];
    const [others, other] = choices.of(places);
    const set = (at: string, value: unknown) => {
      holder[at] = value;
    };
    const changes: (() => void)[] = [
      () => set(key, hostile(choices)),
      () => set(key, typeof found === "number" ? found + choices.of([-1, 1, 0.5, 1e9]) : hostile(choices)),
      () => (Array.isArray(holder) ? holder.splice(Number(key), 1) : delete holder[key]),
      () => (Array.isArray(holder) ? holder.push(structuredClone(found)) : set(`${key}2`, found)),
      () => set(key, structuredClone(others[other])),
    ];
    choices.of(changes)();
  }
  return tree;
}

/** JSON text, sometimes of a changed tree, sometimes with its text changed. */
export function mutateJson(original: unknown, choices: Choices): string {
  const text = JSON.stringify(choices.chance(0.85) ? mutateTree(original, choices) : original);
  return choices.chance(0.2) ? mutateText(text, choices) : text;
}

const PIECES = [
  ...[
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\r",
    "\t",
    "\0",
    "\ufeff",
    "é",
    "😀",
    "\\ud800",
    "NaN",
    "-",
    "1e999",
  ],
  ...[
    "null",
    "{{",
    "}}",
    "{%",
    "%}",
    "*a",
    "&a ",
    "<<: ",
    "- ",
    "? ",
    "!!set ",
    "| ",
    "---\n",
    "#",
    "'",
    "%",
    " ".repeat(50),
  ],
];

/** A text with some characters changed, taken out, put in or doubled, or cut off. */
export function mutateText(text: string, choices: Choices): string {
  let changed = text;
  for (let left = 1 + choices.below(4); left > 0; left--) {
    const at = choices.below(changed.length + 1);
    const to = Math.min(changed.length, at + choices.below(choices.of([2, 20, 200])));
    const middle = choices.of([
      () => choices.of(PIECES),
      () => "",
      () => changed.slice(at, to).repeat(2),
      () => String(hostile(choices) ?? ""),
      () => String.fromCharCode(choices.below(65536)),
    ])();
    changed = changed.slice(0, at) + middle + changed.slice(to);
    if (choices.chance(0.05)) changed = changed.slice(0, choices.below(changed.length + 1));
  }
  return changed;
}

/** Bytes with some bits flipped, bytes taken out, put in or overwritten, or cut off. */
export function mutateBytes(bytes: Uint8Array, choices: Choices): Uint8Array {
  let changed = Buffer.from(bytes);
  for (let left = 1 + choices.below(4); left > 0; left--) {
    const at = choices.below(changed.length + 1);
    const count = choices.below(choices.of([2, 9, 100]));
    const put = Buffer.from(Array.from({ length: count }, () => choices.of([0, 1, 127, 128, 255, choices.below(256)])));
    const skip = choices.of([0, count, choices.below(20)]);
    if (choices.chance(0.4) && at < changed.length) changed[at]! ^= 1 << choices.below(8);
    else changed = Buffer.concat([changed.subarray(0, at), put, changed.subarray(at + skip)]);
    if (choices.chance(0.1)) changed = changed.subarray(0, choices.below(changed.length + 1));
  }
  return changed;
}
