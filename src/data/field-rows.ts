import { formatShape, type Tensor } from "../divergence/tensor.ts";
import type { DataLine } from "./files/index.ts";
import { shortJson } from "./short-json.ts";

/** A field's vectors of the kept rows, [M, V]. @throws UserError when the field does not hold a vector for each row. */
export function fieldRows(
  field: string,
  { value, fail }: DataLine,
  rows: number,
  kept: Int32Array,
  vocabSize: number,
): Tensor {
  const found = value[field];
  const expected = `expected ${formatShape([rows, vocabSize])}, a vector for each token but the first`;
  if (found === undefined) throw fail(`the field \`${field}\` is missing, ${expected}`);
  if (!Array.isArray(found) || !(found as unknown[]).every(Array.isArray))
    throw fail(`the field \`${field}\` is not a list of vectors, ${expected}`);
  const vectors = found as unknown[][];
  const odd = vectors.find(({ length }) => length !== vocabSize);
  if (vectors.length !== rows || odd) {
    throw fail(
      `the field \`${field}\` has shape ${formatShape([vectors.length, odd?.length ?? vocabSize])}, ${expected}`,
    );
  }
  const data = new Float32Array(kept.length * vocabSize);
  kept.forEach((row, i) => {
    const vector = vectors[row]!;
    const wrong = vector.findIndex((number) => !isFloat32(number));
    if (wrong !== -1)
      throw fail(
        `${field}[${row}][${wrong}] is ${shortJson(vector[wrong])}, expected a number${typeof vector[wrong] === "number" ? " that float32 holds" : ""}`,
      );
    data.set(vector as number[], i * vocabSize);
  });
  return { data, shape: [kept.length, vocabSize] };
}

/** Whether it is a number that float32 does not make infinite; an infinite one stays what it is. */
function isFloat32(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) === Number.isFinite(Math.fround(value));
}
