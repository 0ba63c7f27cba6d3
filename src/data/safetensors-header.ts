import { UserError } from "../common/errors.ts";
import { doubledKey } from "./files/doubled-key.ts";

/** What a header says of one tensor. */
export interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the header's end. */
  readonly data_offsets: readonly [from: number, to: number];
}

/** Bits of a number of each type of the format. */
const BITS: Readonly<Record<string, number>> = {
  ...{ BOOL: 8, U8: 8, I8: 8, U16: 16, I16: 16, U32: 32, I32: 32, U64: 64, I64: 64 },
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8 },
  ...{ F16: 16, BF16: 16, F32: 32, F64: 64, C64: 64 },
};

/**
 * Parses the header of a safetensors file as strictly as the format's own reader: each name once, each tensor of a known
 * type and of as many bytes as its shape needs, and every byte after the header in exactly one tensor.
 *
 * @param size the bytes after the header.
 * @throws UserError naming the tensor.
 */
export function parseHeader(
  bytes: Uint8Array,
  size: number,
  path: string,
): { readonly tensors: ReadonlyMap<string, Entry>; readonly metadata: Readonly<Record<string, string>> } {
  const { __metadata__, ...entries } = parseObject(bytes, path);
  const tensors = new Map<string, Entry>();
  for (const [name, entry] of Object.entries(entries)) tensors.set(name, checkEntry(name, entry, path));
  checkCover(tensors, size, path);
  return { tensors, metadata: checkMetadata(__metadata__ ?? {}, path) };
}

function parseObject(bytes: Uint8Array, path: string): Record<string, unknown> {
  const refuse = (why: string) => new UserError(`${path} is not a safetensors file: ${why}.`);
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    throw refuse("its header is no JSON object");
  }
  if (typeof header !== "object" || header === null || !text.startsWith("{")) {
    throw refuse("its header is no JSON object");
  }
  const doubled = doubledKey(text);
  if (doubled !== undefined) throw refuse(`its header has ${JSON.stringify(doubled)} twice`);
  return header as Record<string, unknown>;
}

function checkEntry(name: string, entry: unknown, path: string): Entry {
  const { dtype, shape, data_offsets } = (entry ?? {}) as Readonly<Record<string, unknown>>;
  const sizes = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  const isPlace = (list: unknown): list is [number, number] => sizes(list) && list.length === 2 && list[0]! <= list[1]!;
  const bits = typeof dtype === "string" && Object.hasOwn(BITS, dtype) ? BITS[dtype] : undefined;
  if (bits === undefined || !sizes(shape) || !isPlace(data_offsets)) {
    const written = JSON.stringify(entry).slice(0, 200);
    throw new UserError(`${path} is not a safetensors file: its header says of ${name} ${written}.`);
  }
  const [from, to] = data_offsets;
  const needed = shape.reduce((product, n) => product * n, bits) / 8;
  if (to - from !== needed) {
    throw new UserError(
      `${path} gives tensor ${name} ${to - from} bytes, its shape [${shape.join(", ")}] needs ${needed}.`,
    );
  }
  return { dtype: dtype as string, shape, data_offsets: [from, to] };
}

function checkCover(tensors: ReadonlyMap<string, Entry>, size: number, path: string): void {
  const byPlace = [...tensors].sort(([, { data_offsets: a }], [, { data_offsets: b }]) => a[0] - b[0] || a[1] - b[1]);
  let end = 0;
  for (const [name, { data_offsets }] of byPlace) {
    const [from, to] = data_offsets;
    if (to > size) {
      throw new UserError(`${path} ends before tensor ${name} does: it was cut off; fetch or write it again.`);
    }
    if (from !== end) {
      const what = from < end ? "overlaps the tensor before it" : `leaves ${from - end} bytes before it to no tensor`;
      throw new UserError(`${path} is not a safetensors file: tensor ${name} ${what}; fetch or write it again.`);
    }
    end = to;
  }
  if (end < size) {
    throw new UserError(
      `${path} is not a safetensors file: ${size - end} bytes after its last tensor belong to none; fetch or write it again.`,
    );
  }
}

function checkMetadata(metadata: unknown, path: string): Readonly<Record<string, string>> {
  const isTexts =
    typeof metadata === "object" &&
    !Array.isArray(metadata) &&
    Object.values(metadata as object).every((value) => typeof value === "string");
  if (isTexts) return metadata as Record<string, string>;
  throw new UserError(`${path} is not a safetensors file: its __metadata__ holds something else than texts.`);
}
