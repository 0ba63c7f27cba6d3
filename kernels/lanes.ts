/** @file What every kernel is made of: blocks, partial lanes, and sums that go from float32 lanes to float64. */

/** Numbers per block. Lanes are summed in float32 within a block, and blocks in float64. */
export const BLOCK: i32 = 128;
export const BLOCK_BYTES: usize = 512;
/** Bytes of a float32. */
export const F: usize = 4;

/**
 * Threads share the memory, and each has some room of its own: for results, the ends of rows, and parameters, whose addresses
 * are from here. Loops read it into a local, where an address costs nothing.
 */
export let room: usize = 0;

/** Sets where this thread's room is. */
export function useRoom(at: usize): void {
  room = at;
}

/** Where results are left for the caller, as float64. */
const RESULTS: usize = 64;
const RESULT_COUNT: usize = 4;
/** Room for the last 1 to 3 numbers of a row, one set of lanes for each array that a kernel walks along. */
const ENDS: usize = 192;

/** The padded copy of the end of an array: `count` numbers, and `padding` in the other lanes. */
export function end(which: usize, from: usize, count: i32, padding: f32 = 0): usize {
  const at = room + ENDS + 16 * which;
  v128.store(at, f32x4.splat(padding));
  memory.copy(at, from, <usize>count * F);
  return at;
}

/** Where the parameters of a kernel begin, each as four equal lanes. */
export const PARAMETERS: usize = 320;

/**
 * Keeps a parameter as four equal lanes. Constants are read from memory too: V8 builds a literal, and a splat as well, anew in
 * every iteration, which costs more than a load.
 */
@inline
export function lanes(at: usize, value: f32): void {
  v128.store(room + at, f32x4.splat(value));
}

const ONE = memory.data<f32>([1, 1, 1, 1], 16);
const IMPOSSIBLE = memory.data<f32>([-Infinity, -Infinity, -Infinity, -Infinity], 16);

@inline
export function one(): v128 {
  return v128.load(ONE);
}

/** x, but 0 where z is −∞: an impossible outcome contributes 0, not 0·∞. */
@inline
export function wherePossible(x: v128, z: v128): v128 {
  return v128.and(x, f32x4.ne(z, v128.load(IMPOSSIBLE)));
}

@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

export function clearResults(): void {
  for (let i: usize = 0; i < RESULT_COUNT; i++) store<f64>(room + RESULTS + 8 * i, 0);
}

/** Adds the four lanes to a result, in float64. */
@inline
export function addToResult(which: usize, lanes: v128): void {
  const pairs = f64x2.add(
    f64x2.promote_low_f32x4(lanes),
    f64x2.promote_low_f32x4(i32x4.shuffle(lanes, lanes, 2, 3, 0, 1)),
  );
  const at = room + RESULTS + 8 * which;
  store<f64>(at, load<f64>(at) + f64x2.extract_lane(pairs, 0) + f64x2.extract_lane(pairs, 1));
}
