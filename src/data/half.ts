/** @file Numbers of 16 bits: IEEE 754 half precision (1 sign, 5 exponent, 10 fraction bits), and bfloat16 (1, 8, 7). */

/** What each of the 65,536 halves is worth, once one is asked for: 256 KiB. */
let worth: Float32Array | undefined;

/** The numbers that halves stand for. */
export function fromHalves(halves: Uint16Array): Float32Array {
  worth ??= Float32Array.from({ length: 1 << 16 }, (_, half) => fromHalf(half));
  const out = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) out[i] = worth[halves[i]!]!;
  return out;
}

function fromHalf(half: number): number {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return half & 0x8000 ? -size : size;
}

/** Rounds each number to the nearest half, ties to even; too large becomes infinite. */
export function toHalves(data: Float32Array): Uint16Array {
  const out = new Uint16Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(data[i]!);
    const sign = data[i]! < 0 || Object.is(data[i], -0) ? 0x8000 : 0;
    if (Number.isNaN(size)) out[i] = 0x7e00;
    else if (size >= 65520) out[i] = sign | 0x7c00;
    else {
      const exponent = Math.max(-14, Math.floor(Math.log2(size)));
      const steps = size / 2 ** (exponent - 10);
      const down = Math.floor(steps);
      const rest = steps - down;
      const rounded = down + (rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? 1 : 0);
      // 1024 steps make the leading bit, and a carry flows into the exponent by itself.
      out[i] = sign | (rounded + (exponent + 14) * 1024);
    }
  }
  return out;
}

/** Rounds each number to the nearest bfloat16, the upper half of a float32, ties to even. */
export function toUpperHalves(data: Float32Array): Uint16Array {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const out = new Uint16Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const upper = bits[i]! >>> 16;
    // What rounds up carries into the exponent by itself; a NaN must stay one.
    out[i] = Number.isNaN(data[i]!) ? upper | 0x40 : (bits[i]! + 0x7fff + (upper & 1)) >>> 16;
  }
  return out;
}
