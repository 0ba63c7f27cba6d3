/** @file Numbers as bytes: counts as LEB128 (7 bits a byte, the low ones first), arrays little-endian, as all machines are that klamp runs on. */

/** Bytes in the making. */
export class ByteWriter {
  #bytes = Buffer.alloc(1 << 10);
  #length = 0;

  /** A whole number from 0 to 2³² − 1, in one to five bytes. */
  count(value: number): void {
    this.#makeRoom(5);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.#length++] = (rest % 128) | 128;
    this.#bytes[this.#length++] = rest;
  }

  halves(numbers: Uint16Array): void {
    this.#makeRoom(numbers.byteLength);
    this.#bytes.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), this.#length);
    this.#length += numbers.byteLength;
  }

  /** What was written, in memory of its own. */
  take(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  #makeRoom(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.alloc(Math.max(2 * this.#bytes.length, this.#length + more));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Bytes being read, in the order in which they were written. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  count(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  halves(length: number): Uint16Array {
    const numbers = new Uint8Array(2 * length);
    numbers.set(this.#bytes.subarray(this.#at, this.#at + 2 * length));
    this.#at += 2 * length;
    return new Uint16Array(numbers.buffer);
  }
}
