import { type FileHandle, open } from "node:fs/promises";
import { writePartsAtomic } from "../common/atomic-file.ts";
import { UserError } from "../common/errors.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { fromHalves, toHalves, toUpperHalves } from "./half.ts";

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
  /** Reads one tensor; float16, bfloat16 and float64 are converted to float32. */
  read(name: string): Promise<Tensor>;
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

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

const BYTES: Readonly<Record<string, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };
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
    file = await open(path, "r");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const what = missing ? "does not exist" : `cannot be read (${(cause as Error).message})`;
    throw new UserError(`${path} ${what}; a safetensors file is expected there.`, { cause });
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new UserError(`${path} is no file; a safetensors file is expected there.`);
    const { size } = stat;
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
    const { __metadata__, ...entries } = parseHeader(await readBytes(file, 8, length), path);
    const tensors = new Map<string, Entry>();
    for (const [name, entry] of Object.entries(entries)) {
      if (!isEntry(entry)) {
        throw new UserError(`${path} is not a safetensors file: its header says of ${name} ${JSON.stringify(entry)}.`);
      }
      tensors.set(name, entry);
      const { dtype, shape, data_offsets } = entry;
      const bytes = shape.reduce((product, n) => product * n, BYTES[dtype] ?? 1);
      const [from, to] = data_offsets;
      if (8 + length + to > size) {
        throw new UserError(`${path} ends before tensor ${name} does: it was cut off; fetch or write it again.`);
      }
      if (BYTES[dtype] && to - from !== bytes) {
        throw new UserError(
          `${path} gives tensor ${name} ${to - from} bytes, its shape [${shape.join(", ")}] needs ${bytes}.`,
        );
      }
    }
    const readRaw = async (name: string) => {
      const entry = tensors.get(name);
      if (!entry) throw new UserError(`${path} has no tensor ${name}.`);
      const { dtype, shape, data_offsets } = entry;
      const [from, to] = data_offsets;
      return { dtype, shape, bytes: await readBytes(file, 8 + length + from, to - from) };
    };
    return {
      path,
      shapes: new Map([...tensors].map(([name, { shape }]) => [name, shape])),
      metadata: (__metadata__ ?? {}) as Record<string, string>,
      read: async (name) => {
        const dtype = tensors.get(name)?.dtype;
        if (dtype !== undefined && !BYTES[dtype]) {
          const known = Object.keys(BYTES).join(", ");
          throw new UserError(`${path} holds tensor ${name} as ${dtype}; klamp reads ${known}.`);
        }
        const raw = await readRaw(name);
        return { data: toFloat32(raw.bytes, raw.dtype), shape: raw.shape };
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

function parseHeader(bytes: Buffer, path: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(bytes.toString("utf8"));
  } catch {
    // Told below, as any other header that is no JSON object.
  }
  if (typeof header === "object" && header !== null && !Array.isArray(header)) return { ...header };
  throw new UserError(`${path} is not a safetensors file: its header is no JSON object.`);
}

function isEntry(entry: unknown): entry is Entry {
  const { dtype, shape, data_offsets } = (entry ?? {}) as Readonly<Record<string, unknown>>;
  const sizes = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  return (
    typeof dtype === "string" &&
    sizes(shape) &&
    sizes(data_offsets) &&
    data_offsets.length === 2 &&
    data_offsets[0]! <= data_offsets[1]!
  );
}

/** Reads into memory of its own, aligned for every number type. */
async function readBytes(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const buffer = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, done, Math.min(length - done, 1 << 30), from + done);
    if (bytesRead === 0) throw new Error("the file became shorter while it was read");
    done += bytesRead;
  }
  return buffer;
}

function toFloat32({ buffer }: Uint8Array, dtype: string): Float32Array {
  if (dtype === "F32") return new Float32Array(buffer as ArrayBuffer);
  if (dtype === "F64") return Float32Array.from(new Float64Array(buffer as ArrayBuffer));
  const halfs = new Uint16Array(buffer as ArrayBuffer);
  if (dtype === "BF16") {
    const bits = new Uint32Array(halfs.length);
    for (let i = 0; i < halfs.length; i++) bits[i] = halfs[i]! << 16;
    return new Float32Array(bits.buffer);
  }
  return fromHalves(halfs);
}
