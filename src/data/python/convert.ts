import { writtenKeys } from "../python-json.ts";
import { PythonFloat } from "./float.ts";
import { Dict, type Value } from "./values.ts";

/**
 * A JSON value, as `parsePythonJson` or `JSON.parse` give it, as Python has it: whole numbers are ints, others floats.
 * `seen` is told each dict that is made, with what it was made of.
 */
export function toPython(json: unknown, seen?: (made: Dict, from: object) => void): Value {
  if (json === null || typeof json === "boolean" || typeof json === "string" || typeof json === "bigint") return json;
  if (typeof json === "number") return Number.isInteger(json) && !Object.is(json, -0) ? BigInt(json) : json;
  if (json instanceof PythonFloat) return json.value;
  if (Array.isArray(json)) return json.map((item) => toPython(item, seen));
  if (typeof json !== "object") throw new TypeError(`a ${typeof json} is no JSON value`);
  const dict = new Dict();
  for (const key of writtenKeys(json)) {
    const value = (json as Readonly<Record<string, unknown>>)[key];
    if (value !== undefined) dict.set(key, toPython(value, seen));
  }
  seen?.(dict, json);
  return dict;
}
