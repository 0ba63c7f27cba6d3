import { formatShape, type Tensor } from "../tensor.ts";
import { MEMORY_FLAG, RELAXED_SIMD, SIMD } from "./bytes.generated.ts";
import { type Instance, instantiate, type Kernels, type Memory, viewsOf } from "./instance.ts";

/** The little of WebAssembly that is used here; its types come with a browser's or not at all. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Memory: new (size: { initial: number; maximum: number; shared: boolean }) => Memory;
};

type Build = "simd" | "relaxed-simd";

/** The first byte that is free for rows, behind the kernels' constants and this thread's own room. */
const HEAP = 4096;
const PAGE = 65536;
const LINE = 64;
/** 4 GiB. */
const MOST_PAGES = 65536;
/** A memory import with a maximum, and the same of memory that threads share. */
const SHARED_WITH_MAXIMUM = 3;

/** The kernels and their memory: one with memory that threads share, one without, made when they are first needed. */
export class Machine implements Instance {
  readonly kernels: Kernels;
  /** Which build runs. */
  readonly build: Build;
  /** Whether other threads may have the memory too. */
  readonly shared: boolean;
  /** What makes the same kernels elsewhere. */
  readonly module: object;
  readonly memory: Memory;
  floats!: Float32Array;
  results!: Float64Array;
  /** The memory as objects: shared memory that grows gets a new one, and the old ones stay. */
  readonly #buffers = new WeakSet<ArrayBufferLike>();
  #free = HEAP;
  #scratch: { readonly size: number; readonly at: number } = { size: 0, at: 0 };

  constructor(build: Build, shared: boolean) {
    this.build = build;
    this.shared = shared;
    const bytes = decode(build === "simd" ? SIMD : RELAXED_SIMD);
    if (shared) bytes[MEMORY_FLAG] = SHARED_WITH_MAXIMUM;
    this.module = new WebAssembly.Module(bytes);
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared });
    this.kernels = instantiate(this.module, this.memory, 0);
    this.#view();
  }

  /** Whether numbers lie in this memory, where kernels read them without a copy. */
  holds({ buffer }: Float32Array): boolean {
    return this.#buffers.has(buffer) && buffer.byteLength > 0;
  }

  /** Room for `size` numbers: a byte address at the start of a cache line. It is never given back. */
  reserve(size: number): number {
    const at = this.#free;
    const end = at + Math.ceil((4 * size) / LINE) * LINE;
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) {
      this.#grow(missing, size);
      this.#view();
    }
    this.#free = end;
    return at;
  }

  #grow(bytes: number, size: number): void {
    try {
      this.memory.grow(Math.ceil(bytes / PAGE));
    } catch (cause) {
      const held = Math.round(this.memory.buffer.byteLength / 2 ** 20);
      throw new RangeError(
        `the kernels' memory has no room for ${size} more numbers: it holds ${held} MiB, can have 4096, and gives nothing back`,
        { cause },
      );
    }
  }

  /** The same room at each call, for `size` numbers that are not needed after it. */
  scratch(size: number): number {
    if (this.#scratch.size < size) this.#scratch = { size, at: this.reserve(size) };
    return this.#scratch.at;
  }

  #view(): void {
    ({ floats: this.floats, results: this.results } = viewsOf(this.memory, 0));
    this.#buffers.add(this.memory.buffer);
  }
}

const machines = new Map<boolean, Machine | undefined>();

/**
 * The kernels, or undefined where there are none: no SIMD, a main thread that refuses to compile without waiting (Chrome before
 * version 114), or with `shared` no memory that threads could share (a page that is not cross-origin isolated). All that is
 * computed is the same without them, only slower.
 */
export function theMachine(shared = false): Machine | undefined {
  if (!machines.has(shared)) machines.set(shared, start(shared));
  return machines.get(shared);
}

function start(shared: boolean): Machine | undefined {
  if (typeof WebAssembly === "undefined" || (shared && typeof SharedArrayBuffer === "undefined")) return undefined;
  try {
    return new Machine(WebAssembly.validate(decode(RELAXED_SIMD)) ? "relaxed-simd" : "simd", shared);
  } catch {
    return undefined;
  }
}

/** The kernels with the memory that any of these numbers lie in. */
export function machineThatHolds(...numbers: readonly Float32Array[]): Machine | undefined {
  return [...machines.values()].find((machine) => machine && numbers.some((each) => machine.holds(each)));
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
 * @param options `shared`: in memory that threads share, for calls with `threads`. That never moves; but ONNX Runtime, for one,
 * does not take numbers that lie there. Ignored where memory cannot be shared. Default false.
 * @throws RangeError for a shape that is none, or when the memory has no more room (4 GiB).
 * @example
 * const p = allocate([512, 32000]);
 * p.data.set(logits);
 */
export function allocate(shape: readonly number[], { shared = false }: { readonly shared?: boolean } = {}): Tensor {
  const size = shape.reduce((product, n) => product * n, 1);
  if (!shape.every((n) => Number.isInteger(n) && n >= 0))
    throw new RangeError(
      `cannot allocate a tensor of shape ${formatShape(shape)}: expected whole numbers of at least 0`,
    );
  const home = (shared && theMachine(true)) || theMachine();
  if (!home) return { data: new Float32Array(size), shape };
  const at = home.reserve(size);
  let data: Float32Array = new Float32Array(0);
  return {
    shape,
    get data() {
      if (data.buffer !== home.floats.buffer) data = home.floats.subarray(at / 4, at / 4 + size);
      return data;
    },
  };
}
