import type { Tensor } from "../tensor.ts";
import { RELAXED_SIMD, SIMD } from "./bytes.generated.ts";

/** What kernels/ exports. Rows are byte addresses in the kernels' memory, sizes are numbers of float32. */
export interface Kernels {
  temperature(inverse: number): void;
  sumsOfOne(x: number, ex: number, size: number): void;
  sumsOfTwo(x: number, y: number, ex: number, ey: number, size: number): void;
  sumsAgainst(x: number, y: number, ex: number, w: number, size: number, k: number): void;
  sumsBelow(x: number, ex: number, size: number, most: number): void;
  largest(x: number, size: number): number;
  centered(to: number, x: number, size: number, t: number): void;
  pair(t: number, a: number, b: number): void;
  offset(high: number, low: number): void;
  closeKL(x: number, y: number, ex: number, ey: number, size: number, careful: boolean): void;
  selectLargest(x: number, size: number, k: number, numbers: number, ids: number): void;
  sum(x: number, size: number): void;
  mixture(beta: number): void;
  shape(i: number, coefficient: number): void;
  mixed(x: number, y: number, ex: number, ey: number, size: number, careful: boolean): void;
  gradientOfCentered(g: number, z: number, ex: number, size: number, scale: number, add: boolean): void;
  gradientOfExp(g: number, ex: number, size: number, scale: number, add: boolean): void;
  gradientOfRatio(
    g: number,
    x: number,
    y: number,
    ex: number,
    size: number,
    scale: number,
    add: boolean,
    careful: boolean,
  ): void;
  gradientOfTwo(g: number, ex: number, ey: number, size: number, a: number, b: number, add: boolean): void;
}

/** The little of WebAssembly that is used here; its types come with a browser's or not at all. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: { env: { memory: object } }) => { readonly exports: unknown };
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
};

/** Where kernels/ leaves its results, and the first byte that is free for rows. */
const RESULTS = 64;
const HEAP = 4096;
const PAGE = 65536;
const LINE = 64;

/** The kernels and their memory. There is one of it, made when it is first needed. */
export class Machine {
  readonly kernels: Kernels;
  /** Which build runs. */
  readonly build: "simd" | "relaxed-simd";
  /** The whole memory as float32, and the kernels' results. They are made anew whenever the memory grows. */
  floats!: Float32Array<ArrayBuffer>;
  results!: Float64Array<ArrayBuffer>;
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  #free = HEAP;
  #scratch: { readonly size: number; readonly at: number } = { size: 0, at: 0 };

  constructor(build: "simd" | "relaxed-simd") {
    this.build = build;
    const module = new WebAssembly.Module(decode(build === "simd" ? SIMD : RELAXED_SIMD));
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.#memory } });
    this.kernels = exports as Kernels;
    this.#view();
  }

  /** Whether numbers lie in this memory, where kernels read them without a copy. */
  holds({ buffer }: Float32Array): boolean {
    return buffer === this.#memory.buffer;
  }

  /** Room for `size` numbers: a byte address at the start of a cache line. It is never given back. */
  reserve(size: number): number {
    const at = this.#free;
    this.#free = at + Math.ceil((4 * size) / LINE) * LINE;
    const missing = this.#free - this.#memory.buffer.byteLength;
    if (missing > 0) {
      this.#memory.grow(Math.ceil(missing / PAGE));
      this.#view();
    }
    return at;
  }

  /** The same room at each call, for `size` numbers of one row after another. */
  scratch(size: number): number {
    if (this.#scratch.size < size) this.#scratch = { size, at: this.reserve(size) };
    return this.#scratch.at;
  }

  #view(): void {
    this.floats = new Float32Array(this.#memory.buffer);
    this.results = new Float64Array(this.#memory.buffer, RESULTS, 4);
  }
}

let machine: Machine | undefined | null = null;

/**
 * The kernels, or undefined where there are none: no SIMD, or a main thread that refuses to compile without waiting (Chrome
 * before version 114). All that is computed is the same without them, only slower.
 */
export function theMachine(): Machine | undefined {
  if (machine === null) machine = start();
  return machine;
}

function start(): Machine | undefined {
  if (typeof WebAssembly === "undefined") return undefined;
  try {
    return new Machine(WebAssembly.validate(decode(RELAXED_SIMD)) ? "relaxed-simd" : "simd");
  } catch {
    return undefined;
  }
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * A tensor of zeros in the kernels' memory: what is computed from it or into it is never copied. For buffers that are used
 * again and again, since the memory is never given back.
 *
 * Allocating may move that memory. Read `data` from the tensor each time, and keep no reference to it across an `allocate`
 * or a call with a larger vocabulary: an old one has length 0. Without kernels it is an ordinary tensor.
 *
 * @throws RangeError when the memory has no more room (4 GiB).
 * @example
 * const p = allocate([512, 32000]);
 * p.data.set(logits);
 */
export function allocate(shape: readonly number[]): Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  const home = theMachine();
  if (!home) return { data: new Float32Array(size), shape };
  const at = home.reserve(size);
  let data = new Float32Array(0);
  return {
    shape,
    get data() {
      if (data.buffer !== home.floats.buffer) data = home.floats.subarray(at / 4, at / 4 + size);
      return data;
    },
  };
}
