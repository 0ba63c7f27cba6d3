import { UserError } from "../../common/errors.ts";

/**
 * @file Numbers as bytes: counts as LEB128 (7 bits a byte, low bits first), gaps between sorted numbers as Rice codes
 * (packed bits, low bits first), arrays little-endian, as is every machine that klamp runs on.
 *
 * A Rice code of `low` bits writes a gap's lowest bits as they are, and the rest of it in unary. Of k numbers below V it
 * takes at most log2(V / k) + 3 bits a number, whatever they are, when `low` is ⌊log2(V / k)⌋.
 *
 * @see Rice 1979, Some Practical Universal Noiseless Coding Techniques
 */

/** Writes numbers as bytes. */
export class ByteWriter {
  #bytes = Buffer.alloc(1 << 10);
  #length = 0;
  /** Bits that do not fill a byte yet, and how many they are. */
  #bits = 0;
  #filled = 0;

  /** A whole number from 0 to 2³² − 1, in one to five bytes. */
  count(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#byte((rest % 128) | 128);
    this.#byte(rest);
  }

  /** Ascending numbers, none twice, as their gaps. */
  ascending(numbers: Int32Array, low: number): void {
    let last = -1;
    for (const number of numbers) {
      const gap = number - last - 1;
      for (let ones = gap >>> low; ones > 0; ones--) this.#pack(1, 1);
      this.#pack(0, 1);
      this.#pack(gap & ((1 << low) - 1), low);
      last = number;
    }
  }

  halves(numbers: Uint16Array): void {
    this.#align();
    this.#makeRoom(numbers.byteLength);
    this.#bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), this.#length);
    this.#length += numbers.byteLength;
  }

  /** Fills up the last byte. */
  #align(): void {
    if (this.#filled > 0) this.#pack(0, 8 - this.#filled);
  }

  /** The bytes written, in memory of their own. */
  take(): Buffer {
    this.#align();
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  #pack(bits: number, count: number): void {
    this.#bits |= bits << this.#filled;
    this.#filled += count;
    for (; this.#filled >= 8; this.#filled -= 8) {
      this.#byte(this.#bits & 255);
      this.#bits >>>= 8;
    }
  }

  #byte(value: number): void {
    this.#makeRoom(1);
    this.#bytes[this.#length++] = value;
  }

  #makeRoom(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#length + more));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Reads numbers in the order in which they were written. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;
  #bits = 0;
  #filled = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  count(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#next();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  /** A count of numbers that follow, each of a byte or more. */
  length(): number {
    const count = this.count();
    if (count > this.#bytes.length) throw cutOff();
    return count;
  }

  /** Fills `into` with ascending numbers. */
  ascending(into: Int32Array, low: number): Int32Array {
    let last = -1;
    for (let i = 0; i < into.length; i++) {
      let high = 0;
      while (this.#unpack(1) === 1) high++;
      last += high * (1 << low) + this.#unpack(low) + 1;
      into[i] = last;
    }
    return into;
  }

  halves(length: number): Uint16Array {
    this.#align();
    if (this.#at + 2 * length > this.#bytes.length) throw cutOff();
    const numbers = new Uint8Array(2 * length);
    numbers.set(this.#bytes.subarray(this.#at, this.#at + 2 * length));
    this.#at += 2 * length;
    return new Uint16Array(numbers.buffer);
  }

  #next(): number {
    if (this.#at >= this.#bytes.length) throw cutOff();
    return this.#bytes[this.#at++]!;
  }

  /** Skips the rest of the current byte. */
  #align(): void {
    this.#bits = 0;
    this.#filled = 0;
  }

  #unpack(count: number): number {
    for (; this.#filled < count; this.#filled += 8) this.#bits |= this.#next() << this.#filled;
    const bits = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#filled -= count;
    return bits;
  }
}

function cutOff(): UserError {
  return new UserError(
    "a record of the reference store ends before its numbers do: it is damaged, build the store again",
  );
}
