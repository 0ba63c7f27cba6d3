import { type FileHandle, open } from "node:fs/promises";
import { writePartsAtomic } from "../common/atomic-file.ts";
import { UserError } from "../common/errors.ts";
import { refuseIrregular } from "../common/text-file.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { fromHalves, toHalves, toUpperHalves } from "./half.ts";
import { parseHeader } from "./safetensors-header.ts";

/**
 * An open safetensors file: an 8-byte header length, a JSON header, then the numbers.
 *
 * @see https://huggingface.co/docs/safetensors
 */
export interface SafetensorsFile {
  readonly path: string;
  /** Shapes by name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * Reads one tensor; float16, bfloat16 and float64 are converted to float32. Weights hold no NaN and no infinity, which are
   * refused unless `finite` is false: a log-probability may be −∞.
   */
  read(name: string, options?: { readonly finite?: boolean }): Promise<Tensor>;
  /** One tensor as it is stored. */
  readRaw(name: string): Promise<RawTensor>;
  close(): Promise<void>;
}

/** A tensor as a file stores it. */
export interface RawTensor {
  /** `F32`, `BF16`, … */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Types of numbers that are read as float32. */
const READ = ["F64", "F32", "F16", "BF16"];
const MAX_HEADER = 100_000_000;
/** How a file begins that Git LFS has not fetched. */
const LFS_POINTER = "version https://git-lfs";

/**
 * Opens a safetensors file and checks its header against its size.
 *
 * @throws UserError when it is missing, truncated or no safetensors file.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  let file: FileHandle;
  try {
    refuseIrregular(path);
    file = await open(path, "r");
  } catch (cause) {
    const { message } = cause as Error;
    throw new UserError(`${message}; a safetensors file is expected there.`, { cause });
  }
  try {
    const { size } = await file.stat();
    const length = size < 8 ? Number.NaN : Number((await readBytes(file, 0, 8)).readBigUInt64LE());
    if (!(length <= MAX_HEADER && 8 + length <= size)) {
      const start = (await readBytes(file, 0, Math.min(size, LFS_POINTER.length))).toString("latin1");
      if (start === LFS_POINTER) {
        throw new UserError(`${path} is only Git LFS's pointer to the file; fetch the file itself with git lfs pull.`);
      }
      throw new UserError(
        `${path} is not a safetensors file, or it was cut off in its header; fetch or write it again.`,
      );
    }
    const begin = 8 + length;
    const { tensors, metadata } = parseHeader(await readBytes(file, 8, length), size - begin, path);
    const readRaw = async (name: string) => {
      const entry = tensors.get(name);
      if (!entry) throw new UserError(`${path} has no tensor ${name}.`);
      const { dtype, shape, data_offsets } = entry;
      const [from, to] = data_offsets;
      return { dtype, shape, bytes: await readBytes(file, begin + from, to - from) };
    };
    return {
      path,
      shapes: new Map([...tensors].map(([name, { shape }]) => [name, shape])),
      metadata,
      read: async (name, options) => {
        const dtype = tensors.get(name)?.dtype;
        if (dtype !== undefined && !READ.includes(dtype)) {
          throw new UserError(`${path} holds tensor ${name} as ${dtype}; klamp reads ${READ.join(", ")}.`);
        }
        const raw = await readRaw(name);
        const { data, finite } = toFloat32(raw.bytes, raw.dtype);
        if (!finite && options?.finite !== false) throw new UserError(notFinite(path, name, data));
        return { data, shape: raw.shape };
      },
      readRaw,
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** All tensors of a file. @throws UserError as `openSafetensors`. */
export async function readSafetensors(path: string): Promise<Map<string, Tensor>> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, Tensor>();
    for (const name of file.shapes.keys()) tensors.set(name, await file.read(name));
    return tensors;
  } finally {
    await file.close();
  }
}

/** Writes tensors, by default as float32; the file whole or not at all. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  options: { readonly metadata?: Readonly<Record<string, string>>; readonly dtype?: "F32" | "F16" } = {},
): Promise<void> {
  const { metadata, dtype = "F32" } = options;
  const raw = [...tensors].map(
    ([name, { data, shape }]) => [name, { dtype, shape, bytes: toBytes(data, dtype) }] as const,
  );
  await writeRawSafetensors(path, new Map(raw), metadata);
}

/** Writes tensors as they are stored, in this order; the file whole or not at all. */
export async function writeRawSafetensors(
  path: string,
  tensors: ReadonlyMap<string, RawTensor>,
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { dtype, shape, bytes }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  await writePartsAtomic(path, [length, padded, ...[...tensors.values()].map(({ bytes }) => bytes)]);
}

/** The bytes of numbers in a type, each rounded to the nearest, ties to even. @throws Error for a type that klamp does not write. */
export function toBytes(data: Float32Array, dtype: string): Uint8Array {
  switch (dtype) {
    case "F32":
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    case "F64":
      return new Uint8Array(Float64Array.from(data).buffer);
    case "F16":
      return new Uint8Array(toHalves(data).buffer);
    case "BF16":
      return new Uint8Array(toUpperHalves(data).buffer);
    default:
      throw new Error(`no numbers are written as ${dtype}`);
  }
}

/** Reads into memory of its own, aligned for every number type. */
async function readBytes(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const buffer = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, done, Math.min(length - done, 1 << 30), from + done);
    if (bytesRead === 0) throw new UserError("a safetensors file became shorter while it was read");
    done += bytesRead;
  }
  return buffer;
}

/** The numbers, and whether all of them are finite, which is looked for on the way: exponents of ones are Infinity and NaN. */
function toFloat32({ buffer }: Uint8Array, dtype: string): { readonly data: Float32Array; readonly finite: boolean } {
  const bytes = buffer as ArrayBuffer;
  if (dtype === "F32") return withFinite(new Float32Array(bytes));
  if (dtype === "F64") return withFinite(Float32Array.from(new Float64Array(bytes)));
  const halves = new Uint16Array(bytes);
  if (dtype === "F16") return withFinite(fromHalves(halves));
  const bits = new Uint32Array(halves.length);
  let carry = 0;
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!;
    bits[i] = half << 16;
    carry |= (half & 0x7f80) + 0x80;
  }
  return { data: new Float32Array(bits.buffer), finite: (carry & 0x8000) === 0 };
}

function withFinite(data: Float32Array): { readonly data: Float32Array; readonly finite: boolean } {
  const bits = new Int32Array(data.buffer, data.byteOffset, data.length);
  let carry = 0;
  for (let i = 0; i < bits.length; i++) carry |= (bits[i]! & 0x7f800000) + 0x00800000;
  return { data, finite: carry >= 0 };
}

function notFinite(path: string, name: string, data: Float32Array): string {
  const at = data.findIndex((value) => !Number.isFinite(value));
  return `${path} holds ${data[at]} in tensor ${name} (number ${at} of ${data.length}), from which nothing but NaN follows; fetch or write the file again.`;
}
