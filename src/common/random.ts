/** A source of uniform numbers in [0, 1). Everything random in klamp takes one, so that a seed fixes a run. */
export type Random = () => number;

/**
 * A seeded generator: sfc32, seeded through splitmix32. Equal seeds give equal sequences on every machine.
 *
 * @param seed any integer; only its low 32 bits count.
 * @example const random = createRandom(1); random(); // 0 ≤ x < 1
 * @see Chris Doty-Humphrey, PractRand (sfc32); Steele, Lea & Flood 2014 (splitmix)
 */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  const mix = () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let a = mix();
  let b = mix();
  let c = mix();
  let counter = 1;
  const next = () => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + result) | 0;
    return (result >>> 0) / 0x100000000;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

/** A whole number in [0, n). */
export function randomInteger(random: Random, n: number): number {
  return Math.floor(random() * n);
}

/** The items in a random order, as a new array (Fisher–Yates). */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = randomInteger(random, i + 1);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}
