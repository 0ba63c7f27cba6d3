import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PythonFloat } from "../../src/data/python/float.ts";
import { parsePythonJson, writtenKeys } from "../../src/data/python-json.ts";

describe("numbers are what Python's json reads", () => {
  test.each<[string, unknown]>([
    ["1", 1],
    ["-0", 0],
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", 9007199254740993n],
    ["-123456789012345678901234567890", -123456789012345678901234567890n],
    ["0.5", 0.5],
    ["1e-7", 1e-7],
    ["1.0", new PythonFloat(1)],
    ["1e3", new PythonFloat(1000)],
    ["-0.0", new PythonFloat(-0)],
    ["1e400", new PythonFloat(Number.POSITIVE_INFINITY)],
    ["9007199254740993.0", new PythonFloat(9007199254740992)],
  ])("%s", (text, expected) => {
    expect(parsePythonJson(text)).toEqual(expected);
    expect(parsePythonJson(` {"a": [ ${text} ]}\n`)).toEqual({ a: [expected] });
  });
});

test("all else is what JSON.parse reads", () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(undefined, 1), (json, indent) => {
      const text = JSON.stringify(JSON.parse(json), null, indent);
      const asNumber = (_: string, value: unknown) => (typeof value === "bigint" ? Number(value) : value);
      expect(JSON.parse(JSON.stringify(parsePythonJson(text), asNumber))).toEqual(JSON.parse(text));
    }),
    { seed: 1 },
  );
  const awkward = String.raw`{"__proto__": 1, "a\"b\\": "\\\" \u00e9 {[,:]} 1.0", "": [{}, [], null, true, false, " x "]}`;
  expect(parsePythonJson(awkward)).toEqual(JSON.parse(awkward));
  expect(Object.hasOwn(parsePythonJson(awkward) as object, "__proto__")).toBe(true);
});

test.each(["", "{", "[1,]", '{"a": 1', "nul", "01", "1.", '"\n"', "[1] 2", "NaN", "{'a': 1}"])(
  "%j is refused as JSON.parse does",
  (text) => {
    expect(() => parsePythonJson(text)).toThrow(SyntaxError);
  },
);

test("keys keep the order of the text, and doubled ones are told", () => {
  const doubled: string[] = [];
  const text = '{"b": 1, "2": {"9": 0, "1": 0}, "1": 3, "b": 4, "a": {"b": 1}}';
  const read = parsePythonJson(text, { onDoubledKey: (key) => doubled.push(key) }) as { 2: object };
  expect(writtenKeys(read)).toEqual(["b", "2", "1", "a"]);
  expect(writtenKeys(read[2])).toEqual(["9", "1"]);
  expect(writtenKeys({ b: 1, a: 2 })).toEqual(["b", "a"]);
  expect(read).toEqual(JSON.parse(text));
  expect(doubled).toEqual(["b"]);
});

test("nesting of any depth is read", () => {
  const depth = 100_000;
  let read = parsePythonJson("[".repeat(depth) + "]".repeat(depth));
  let found = 0;
  while (Array.isArray(read)) {
    read = read[0];
    found++;
  }
  expect(found).toBe(depth);
});
