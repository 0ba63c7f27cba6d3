/** What kernels/ exports. Rows are byte addresses in the kernels' memory, sizes are counts of float32 numbers. */
export interface Kernels {
  /** Sets where this instance keeps its results and parameters. */
  useRoom(at: number): void;
  temperature(inverse: number): void;
  sumsOfOne(x: number, ex: number, size: number): void;
  sumsOfTwo(x: number, y: number, ex: number, ey: number, w: number, size: number): void;
  sumsAgainst(x: number, y: number, ex: number, w: number, size: number, k: number): void;
  sumsBelow(x: number, ex: number, size: number, most: number): void;
  largest(x: number, size: number): number;
  centered(to: number, x: number, size: number, t: number): void;
  pair(t: number, a: number, b: number): void;
  offset(high: number, low: number): void;
  closeKL(x: number, y: number, ex: number, ey: number, w: number, size: number, careful: boolean): void;
  selectLargest(x: number, size: number, k: number, numbers: number, ids: number): void;
  sum(x: number, size: number): void;
  mixture(beta: number): void;
  shape(i: number, coefficient: number): void;
  mixed(x: number, y: number, ex: number, ey: number, size: number, careful: boolean): void;
  gradientOfCentered(g: number, z: number, ex: number, size: number, scale: number, add: boolean): void;
  gradientOfExp(g: number, ex: number, size: number, scale: number, add: boolean): void;
  gradientOfRatio(g: number, x: number, y: number, ex: number, size: number, scale: number, add: boolean): void;
  gradientOfTwo(g: number, ex: number, ey: number, size: number, a: number, b: number, add: boolean): void;
}

/** The parts of WebAssembly that are used here: TypeScript declares them only together with the DOM. */
export interface Memory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}
declare const WebAssembly: {
  Instance: new (module: object, imports: { env: { memory: Memory } }) => { readonly exports: unknown };
};

/** The kernels of one thread: the memory is shared by all threads, the code and the results are its own. */
export interface Instance {
  readonly kernels: Kernels;
  /** The whole memory as float32, and the kernels' results. Both views are replaced whenever the memory grows. */
  readonly floats: Float32Array;
  readonly results: Float64Array;
}

/** Bytes that an instance needs for itself, and the offset of its results in them. */
export const OWN_ROOM = 1024;
const RESULTS = 64;

export function instantiate(module: object, memory: Memory, room: number): Kernels {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as Kernels;
  kernels.useRoom(room);
  return kernels;
}

export function viewsOf({ buffer }: Memory, room: number) {
  return { floats: new Float32Array(buffer), results: new Float64Array(buffer, room + RESULTS, 4) };
}
