import { setImmediate } from "node:timers/promises";
import { type AsyncBuffer, asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { UserError } from "../../common/errors.ts";
import { type DataLine, dataLine } from "./line.ts";

/** `PAR1` */
export const PARQUET = [0x50, 0x41, 0x52, 0x31];

/** The rows of a Parquet file; one group of rows is held in memory at a time. @throws UserError when it is damaged. */
export async function* readParquet(path: string): AsyncGenerator<DataLine> {
  let number = 0;
  const state = { failed: false };
  try {
    const file = patient(await asyncBufferFromFile(path), state);
    const metadata = await parquetMetadataAsync(file);
    let rowStart = 0;
    for (const { num_rows } of metadata.row_groups) {
      const rowEnd = rowStart + Number(num_rows);
      const rows = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd });
      for (const row of rows) {
        number++;
        yield dataLine(path, number, ` (row ${number})`, () => plain(row) as Readonly<Record<string, unknown>>);
      }
      rowStart = rowEnd;
    }
  } catch (cause) {
    state.failed = true;
    if (cause instanceof UserError) throw cause;
    throw new UserError(`cannot read ${path}: the Parquet file is damaged${reasonOf(cause)}`, { cause });
  }
}

/** What the library says; where it did not foresee the damage, JavaScript's own words say nothing to a user. */
function reasonOf(cause: unknown): string {
  return cause instanceof TypeError || cause instanceof RangeError ? "" : ` (${(cause as Error).message})`;
}

/**
 * A file whose parts come a little later, and after a failure never. The library begins to read all columns at once and,
 * when it fails before it waits for them, nobody would be there to hear of their own failures, which ends a process.
 */
function patient(file: AsyncBuffer, state: { readonly failed: boolean }): AsyncBuffer {
  return {
    byteLength: file.byteLength,
    slice: (from, to) => {
      const part = setImmediate().then(() => (state.failed ? new Promise<never>(() => {}) : file.slice(from, to)));
      part.catch(() => {});
      return part;
    },
  };
}

/** A value as JSON would have it: lists are arrays, and integers are numbers where these hold them. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== "object" || value === null) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, plain(below)]));
}
