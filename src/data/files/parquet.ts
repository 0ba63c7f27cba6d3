import { setImmediate } from "node:timers/promises";
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type SchemaTree,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { UserError } from "../../common/errors.ts";
import { PythonFloat } from "../python/float.ts";
import { shortJson } from "../short-json.ts";
import { PRINTED } from "./json.ts";
import { type DataLine, dataLine } from "./line.ts";

/** `PAR1` */
export const PARQUET = [0x50, 0x41, 0x52, 0x31];

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The rows of a Parquet file; one group of rows is held in memory at a time. @throws UserError when it is damaged. */
export async function* readParquet(path: string): AsyncGenerator<DataLine> {
  let number = 0;
  const state = { failed: false };
  try {
    const file = patient(await asyncBufferFromFile(path), state);
    const metadata = await parquetMetadataAsync(file);
    const schema = parquetSchema(metadata);
    checkNames(schema, path);
    let rowStart = 0;
    for (const { num_rows } of metadata.row_groups) {
      const rowEnd = rowStart + Number(num_rows);
      const rows = await parquetReadObjects({
        file,
        metadata,
        compressors,
        rowStart,
        rowEnd,
        parsers: { stringFromBytes },
      });
      for (const row of rows) {
        number++;
        yield dataLine(path, number, ` (row ${number})`, () => plainRow(row, schema));
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

/** @param where the columns lie, after a space. */
function checkNames({ children }: SchemaTree, path: string, where = ""): void {
  const names = children.map((child) => child.element.name);
  const doubled = names.find((name, i) => names.indexOf(name) < i);
  for (const child of children) checkNames(child, path, ` of ${shortJson(child.element.name)}`);
  if (doubled === undefined) return;
  throw new UserError(
    `${path}: two columns${where} are called ${shortJson(doubled)}, and only one can count: rename one`,
  );
}

/** Bytes that are not UTF-8 stay bytes: a column that is read refuses them, one that is not may hold pictures. */
function stringFromBytes(bytes: Uint8Array): unknown {
  try {
    return bytes && utf8.decode(bytes);
  } catch {
    return bytes;
  }
}

function plainRow(row: object, { children }: SchemaTree): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      const isPrinted = PRINTED.includes(name);
      return [name, plain(value, isPrinted ? children.find(({ element }) => element.name === name) : undefined)];
    }),
  );
}

/**
 * A value as JSON would have it: lists are arrays, and integers are numbers where these hold them.
 *
 * @param schema of what a template may print: 1.0 of a column of floats is no 1.
 */
function plain(value: unknown, schema?: SchemaTree): unknown {
  if (typeof value === "number") {
    const isFloat = /^(FLOAT|DOUBLE)$/.test(schema?.element.type ?? "");
    return isFloat && Number.isInteger(value) ? new PythonFloat(value) : value;
  }
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (ArrayBuffer.isView(value) || Array.isArray(value)) {
    const item = itemOf(schema);
    return Array.from(value as ArrayLike<unknown>, (each) => plain(each, item));
  }
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== "object" || value === null) return value ?? null;
  const of = (key: string) => schema?.children.find(({ element }) => element.name === key);
  return Object.fromEntries(Object.entries(value).map(([key, below]) => [key, plain(below, of(key))]));
}

/** What a list's items are: it holds a repeated group of one, or itself repeats. */
function itemOf(schema: SchemaTree | undefined): SchemaTree | undefined {
  const [inner] = schema?.children ?? [];
  if (schema?.element.repetition_type === "REPEATED" || inner === undefined) return schema;
  return inner.children.length === 1 ? inner.children[0] : inner;
}
