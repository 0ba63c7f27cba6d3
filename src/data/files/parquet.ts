import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { UserError } from "../../common/errors.ts";
import { type DataLine, dataLine } from "./line.ts";

/** `PAR1` */
export const PARQUET = [0x50, 0x41, 0x52, 0x31];

/** The rows of a Parquet file; one group of rows is held in memory at a time. @throws UserError when it is damaged. */
export async function* readParquet(path: string): AsyncGenerator<DataLine> {
  let number = 0;
  try {
    const file = await asyncBufferFromFile(path);
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
    if (cause instanceof UserError) throw cause;
    throw new UserError(`cannot read ${path}: the Parquet file is damaged (${(cause as Error).message})`, { cause });
  }
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
