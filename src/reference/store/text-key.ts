import { createHash } from "node:crypto";
import { type Datum, rowCount } from "../../data/datum.ts";

/** @file The key of a stored text: its tokens, wherever they come from and whatever they are used for. */

/** Bytes of a key. */
export const KEY_BYTES = 16;

/** The first 128 bits of SHA-256 over the tokens that the model reads. */
export function textKey({ modelInput }: Datum): Buffer {
  const bytes = Buffer.alloc(4 * modelInput.length);
  for (let i = 0; i < modelInput.length; i++) bytes.writeInt32LE(modelInput[i]!, 4 * i);
  return createHash("sha256").update(bytes).digest().subarray(0, KEY_BYTES);
}

/** The positions of the datum's rows in its tokens. */
export function positionsOf(datum: Datum): Int32Array {
  return datum.lossInputs.positions?.data ?? Int32Array.from({ length: rowCount(datum) }, (_, i) => i);
}
