import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../../../src/reference/store/bytes.ts";

type Part = { count: number } | { halves: number[] } | { ascending: number[]; low: number };

const count = fc.record({ count: fc.oneof(fc.nat(300), fc.nat(2 ** 31), fc.constant(2 ** 32 - 1)) });
const halves = fc.record({ halves: fc.array(fc.nat(65535), { maxLength: 9 }) });
const sorted = fc.uniqueArray(fc.nat(200_000), { maxLength: 70 }).map((list) => list.sort((a, b) => a - b));
const ascending = fc.record({ ascending: sorted, low: fc.integer({ min: 6, max: 17 }) });

test("what was written is read back, in whatever order it comes", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(count, halves, ascending), { maxLength: 8 }), (parts) => {
      const writer = new ByteWriter();
      // A count begins on a byte of its own: packed bits are followed by halves.
      const all = parts.flatMap<Part>((part) => ("ascending" in part ? [part, { halves: [7] }] : [part]));
      for (const part of all) {
        if ("count" in part) writer.count(part.count);
        else if ("halves" in part) writer.halves(Uint16Array.from(part.halves));
        else writer.ascending(Int32Array.from(part.ascending), part.low);
      }
      const reader = new ByteReader(writer.take());
      for (const part of all) {
        if ("count" in part) expect(reader.count()).toBe(part.count);
        else if ("halves" in part) expect([...reader.halves(part.halves.length)]).toEqual(part.halves);
        else expect([...reader.ascending(new Int32Array(part.ascending.length), part.low)]).toEqual(part.ascending);
      }
    }),
  );
});

test("k numbers below V take at most log2(V / k) + 3 bits each", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 64, max: 500_000 }), fc.nat(), (k, size, seed) => {
      const numbers = new Set<number>();
      for (let i = 0; numbers.size < k; i++) numbers.add(Math.floor(size * Math.abs(Math.sin(seed + i * i))));
      const writer = new ByteWriter();
      const list = Int32Array.from(numbers).sort();
      writer.ascending(list, Math.floor(Math.log2(size / k)));
      expect(8 * writer.take().length).toBeLessThanOrEqual(k * (Math.log2(size / k) + 3) + 8);
    }),
  );
});
