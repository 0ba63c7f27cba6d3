import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { createRandom, type Random } from "../../src/common/random.ts";
import { crossEntropy, klDivergence, type Tensor, tensor } from "../../src/divergence/index.ts";
import { allocate, wasmMemory } from "../../src/divergence/kernel/wasm-memory.ts";
import * as oracle from "./oracle.ts";

/** @file The WebAssembly kernels, on rows long enough that they are used, against the definitions in float64. */

const SIZES = [64, 65, 127, 1024, 4099];
const SPREADS = [1e-3, 1, 6, 30];

const normal = (random: Random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const logits = (random: Random, size: number, spread: number) =>
  Float32Array.from({ length: size }, () => spread * normal(random));

/** log p and log q − Σ, exactly as the float32 numbers say, since near equality p and q differ in their last digits. */
function expected(x: Float32Array, y: Float32Array, reverse: boolean) {
  const log = (z: Float32Array) => {
    const max = z.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const total = Math.log(z.reduce((sum, v) => sum + Math.exp(v - max), 0)) + max;
    return Array.from(z, (v) => v - total);
  };
  const [p, q] = [log(x), log(y)];
  // Σ p·(r − 1 + e^−r) with r = log p − log q: every term is at least 0, nothing cancels.
  const term = (r: number) => (Math.abs(r) < 1e-3 ? (r * r) / 2 - r ** 3 / 6 + r ** 4 / 24 : Math.expm1(-r) + r);
  const [over, under] = reverse ? [q, p] : [p, q];
  const value = over.reduce((sum, a, i) => sum + Math.exp(a) * term(a - under[i]!), 0);
  const gradient = p.map((a, i) =>
    reverse ? Math.exp(q[i]!) * Math.expm1(a - q[i]!) : Math.exp(a) * (a - q[i]! - value),
  );
  return { value, gradient };
}

/** Within 2e-6 of the largest entry; `size` is that of the numbers whose difference an entry is, in float32. */
function expectClose(found: Float32Array, wanted: readonly number[], label: string, size = 0): void {
  const scale = wanted.reduce((max, g) => Math.max(max, Math.abs(g)), 1e-9);
  const worst = wanted.reduce((max, g, i) => Math.max(max, Math.abs(g - found[i]!)), 0);
  expect(worst, label).toBeLessThan(2e-6 * scale + 2 ** -23 * size);
}

test("the kernels are there", () => {
  expect(wasmMemory()?.build).toMatch(/simd/);
});

test("the bytes are what kernels/ compiles to", () => {
  execFileSync(process.execPath, ["scripts/build-kernels.mjs", "--check"], { stdio: "pipe" });
}, 60_000);

describe.each(["p||q", "q||p"] as const)("KL, %s", (direction) => {
  const reverse = direction === "q||p";
  test.each(SIZES)("of %i outcomes: value and gradient", (size) => {
    const random = createRandom(size);
    for (const spread of SPREADS) {
      for (const apart of [1e-4, 1e-2, 1, 10]) {
        const x = logits(random, size, spread);
        const y = x.map((v) => v + apart * normal(random));
        const { value, perRow, gradient } = klDivergence.withGradient(tensor(x, [1, size]), tensor(y, [1, size]), {
          direction,
          input: "logits",
        });
        const wanted = expected(x, y, reverse);
        const label = `spread ${spread}, apart ${apart}`;
        expect(Math.abs(value - wanted.value), label).toBeLessThanOrEqual(1e-6 * wanted.value + 1e-12);
        expect(perRow.data[0]).toBeCloseTo(value, 5);
        expectClose(gradient.data, wanted.gradient, label, reverse ? 1 : apart * Math.max(1, spread));
      }
    }
  });

  test("is exactly 0 at equality, in value, and within 1e-7 in gradient", () => {
    const x = logits(createRandom(1), 500, 5);
    const { value, gradient } = klDivergence.withGradient(tensor(x, [1, 500]), tensor(x.slice(), [1, 500]), {
      direction,
      input: "logits",
    });
    expect(value).toBe(0);
    expect(gradient.data.every((g) => Math.abs(g) <= 1e-7)).toBe(true);
  });

  test("adds, scales, weighs, skips masked rows, and reads from any memory", () => {
    const random = createRandom(2);
    const [rows, size] = [4, 300];
    const x = Array.from({ length: rows }, () => logits(random, size, 3));
    const y = Array.from({ length: rows }, () => logits(random, size, 3));
    const flat = (parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
    const weights = [1, 0, 2, 0.5];
    const at = (data: Float32Array, home: boolean): Tensor => {
      if (!home) return tensor(data, [rows, size]);
      const placed = allocate([rows, size]);
      placed.data.set(data);
      return placed;
    };
    for (const home of [false, true]) {
      const [p, q] = [at(flat(x), home), at(flat(y), home)];
      const sum = at(new Float32Array(rows * size).fill(1), home);
      const options = { direction, input: "logits", weights, addTo: { gradient: sum, scale: 3 } } as const;
      const { value } = klDivergence.withGradient(p, q, options);
      const each = x.map((row, r) => expected(row, y[r]!, reverse));
      expect(value).toBeCloseTo(each.reduce((total, { value }, r) => total + weights[r]! * value, 0) / 3.5, 5);
      for (const [r, { gradient }] of each.entries()) {
        const wanted = gradient.map((g) => 1 + (3 * weights[r]! * g) / 3.5);
        expectClose(sum.data.slice(r * size, (r + 1) * size), wanted, `row ${r}`);
      }
    }
  });

  test("an outcome that one side holds impossible", () => {
    const size = 128;
    const [whole, holed] = [new Float32Array(size), new Float32Array(size)];
    holed[3] = Number.NEGATIVE_INFINITY;
    const of = (p: Float32Array, q: Float32Array) =>
      klDivergence.withGradient(tensor(p, [1, size]), tensor(q, [1, size]), { direction, input: "logits" });
    // The side that is summed over may have holes, the other may not.
    const finite = reverse ? of(whole, holed) : of(holed, whole);
    expect(Math.abs(finite.value / Math.log(size / (size - 1)) - 1)).toBeLessThan(2e-6);
    const wanted = (i: number) => (reverse ? 1 / size - (i === 3 ? 0 : 1 / (size - 1)) : 0);
    expectClose(
      finite.gradient.data,
      Array.from({ length: size }, (_, i) => wanted(i)),
      "a hole",
      1e-3,
    );
    expect((reverse ? of(holed, whole) : of(whole, holed)).value).toBe(Number.POSITIVE_INFINITY);
    expect(of(holed, holed.slice()).value).toBe(0);
    expect(of(whole.fill(Number.NaN), holed).value).toBeNaN();
  });

  test("a probability below float32's range, where the other side has a finite mask", () => {
    const size = 128;
    for (const depth of [89, 95, 100]) {
      for (const mask of [-3.4e38, -1e30, -1e30 * depth]) {
        const [over, under] = [new Float32Array(size), new Float32Array(size)];
        over[5] = -depth;
        under[5] = mask;
        const [x, y] = reverse ? [under, over] : [over, under];
        const value = klDivergence(tensor(x, [1, size]), tensor(y, [1, size]), { direction, input: "logits" });
        const wanted = expected(x, y, reverse).value;
        expect(Math.abs(value / wanted - 1), `e^-${depth} against ${mask}`).toBeLessThan(2e-6);
      }
    }
  });
});

test.each(SIZES)("cross-entropy of %i outcomes: value and gradient", (size) => {
  const random = createRandom(size);
  for (const spread of SPREADS) {
    const x = logits(random, size, spread);
    for (const target of [0, size - 1, x.indexOf(x.reduce((a, b) => Math.max(a, b)))]) {
      const targets = { data: Int32Array.of(target), shape: [1] };
      const { value, gradient } = crossEntropy.withGradient(tensor(x, [1, size]), targets, { input: "logits" });
      const p = oracle.softmax([...x]);
      const others = p.reduce((sum, share, i) => (i === target ? sum : sum + share), 0);
      const wanted = p[target]! > 0.5 ? -Math.log1p(-others) : -Math.log(p[target]!);
      expect(Math.abs(value - wanted)).toBeLessThanOrEqual(1e-6 * wanted + 1e-12);
      expectClose(
        gradient.data,
        p.map((share, i) => (i === target ? -others : share)),
        `spread ${spread}`,
      );
    }
  }
});

test("a tensor that cannot be allocated is refused: a shape that is none, or more than the memory can have", () => {
  for (const shape of [[-1, 2], [2.5, 2], [Number.NaN]]) {
    expect(() => allocate(shape)).toThrow("expected whole numbers of at least 0");
  }
  expect(() => allocate([2 ** 15, 2 ** 15 + 1])).toThrow("no room for 1073774592 more numbers");
  expect(allocate([2, 3]).data.length).toBe(6);
});
