import { formatShape, type Tensor } from "../tensor.ts";
import { MEMORY_FLAG, RELAXED_SIMD, SIMD } from "./bytes.generated.ts";
import { type Instance, instantiate, type Kernels, type Memory, viewsOf } from "./instance.ts";

/** The parts of WebAssembly that are used here: TypeScript declares them only together with the DOM. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Memory: new (size: { initial: number; maximum: number; shared: boolean }) => Memory;
};

type Build = "simd" | "relaxed-simd";

/** The first byte that is free for rows, after the kernels' constants and the results of this thread. */
const HEAP = 4096;
const PAGE = 65536;
const LINE = 64;
/** 4 GiB. */
const MOST_PAGES = 65536;
/** The flag of a memory import that has a maximum and is shared. */
const SHARED_WITH_MAXIMUM = 3;

/** The kernels and their memory. There are two, with shared and with unshared memory, each created when first needed. */
export class WasmMemory implements Instance {
  readonly kernels: Kernels;
  /** Which build of the kernels runs. */
  readonly build: Build;
  /** Whether other threads can share the memory. */
  readonly shared: boolean;
  /** The compiled kernels, which workers instantiate for themselves. */
  readonly module: object;
  readonly memory: Memory;
  floats!: Float32Array;
  results!: Float64Array;
  /** All buffers of this memory: shared memory that grows gets a new one, and the old ones stay valid. */
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

  /** Whether an array lies in this memory, where kernels read it without a copy. */
  holds({ buffer }: Float32Array): boolean {
    return this.#buffers.has(buffer) && buffer.byteLength > 0;
  }

  /** Reserves `size` float32 numbers: a byte address at the start of a cache line. They are never freed. */
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
        `the kernels' memory has no room for ${size} more numbers: it holds ${held} MiB of at most 4096, and is never freed; reuse tensors from allocate()`,
        { cause },
      );
    }
  }

  /** Scratch memory for `size` numbers: the same address at each call. */
  scratch(size: number): number {
    if (this.#scratch.size < size) this.#scratch = { size, at: this.reserve(size) };
    return this.#scratch.at;
  }

  #view(): void {
    ({ floats: this.floats, results: this.results } = viewsOf(this.memory, 0));
    this.#buffers.add(this.memory.buffer);
  }
}

const memories = new Map<boolean, WasmMemory | undefined>();

/**
 * The kernels and their memory, or undefined where there are none: no SIMD, a main thread that must not compile synchronously
 * (Chrome before version 114), or with `shared` no shared memory (a page that is not cross-origin isolated). Results are the
 * same without them, only slower.
 */
export function wasmMemory(shared = false): WasmMemory | undefined {
  if (!memories.has(shared)) memories.set(shared, start(shared));
  return memories.get(shared);
}

function start(shared: boolean): WasmMemory | undefined {
  if (typeof WebAssembly === "undefined" || (shared && typeof SharedArrayBuffer === "undefined")) return undefined;
  try {
    return new WasmMemory(WebAssembly.validate(decode(RELAXED_SIMD)) ? "relaxed-simd" : "simd", shared);
  } catch {
    return undefined;
  }
}

/** The memory that any of these arrays lies in. */
export function memoryThatHolds(...numbers: readonly Float32Array[]): WasmMemory | undefined {
  return [...memories.values()].find((wasm) => wasm && numbers.some((each) => wasm.holds(each)));
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * A tensor of zeros in the kernels' memory: divergences read and write it without a copy. For buffers that are reused, since
 * this memory is never freed.
 *
 * Allocating may move the memory. Read `data` from the tensor each time, and keep no reference to it across an `allocate` or a
 * call with a larger vocabulary: a stale one has length 0. Without kernels it is an ordinary tensor.
 *
 * @param options `shared`: in memory that threads share, for calls with `threads`. Shared memory never moves; but some
 * libraries, ONNX Runtime among them, do not accept it. Ignored where memory cannot be shared. Default false.
 * @throws RangeError for a shape that is not whole numbers of at least 0, or when the memory has no more room (4 GiB).
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
  const home = (shared && wasmMemory(true)) || wasmMemory();
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
