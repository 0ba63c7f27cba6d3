import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/common/random.ts";
import { openSafetensors, writeSafetensors } from "../../src/data/safetensors.ts";
import { complaint, temporaryFolder } from "./folders.ts";

/** The bytes of a file with this header and body, put together by hand. */
function fileOf(header: unknown, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, body]);
}

const bytesOf = (numbers: { buffer: ArrayBufferLike }) => new Uint8Array(numbers.buffer);

function write(name: string, content: Uint8Array): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

async function readOne(dtype: string, body: Uint8Array, size: number): Promise<Float32Array> {
  const header = { x: { dtype, shape: [size], data_offsets: [0, body.length] } };
  const file = await openSafetensors(write("one.safetensors", fileOf(header, body)));
  try {
    return (await file.read("x")).data;
  } finally {
    await file.close();
  }
}

async function refusal(content: Uint8Array): Promise<string> {
  const path = write("bad.safetensors", content);
  return complaint(
    async () => {
      const file = await openSafetensors(path);
      try {
        for (const name of file.shapes.keys()) await file.read(name);
      } finally {
        await file.close();
      }
    },
    path.slice(0, path.lastIndexOf("/")),
  );
}

/** Same bits, but for NaN, which has many. */
function expectSame(found: Float32Array, expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  for (let i = 0; i < found.length; i++) {
    if (!Object.is(found[i], expected[i])) throw new Error(`number ${i}: found ${found[i]}, expected ${expected[i]}`);
  }
}

/** Value of a half by the book: sign, exponent and fraction as text in base 2, put together again. */
function halfByTheBook(half: number): number {
  const bits = half.toString(2).padStart(16, "0");
  const [sign, exponent, fraction] = [bits[0] === "1" ? -1 : 1, bits.slice(1, 6), bits.slice(6)];
  const tail = [...fraction].reduce((sum, bit, i) => sum + Number(bit) / 2 ** (i + 1), 0);
  const power = Number.parseInt(exponent, 2);
  if (power === 31) return tail === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return power === 0 ? sign * tail * 2 ** -14 : sign * (1 + tail) * 2 ** (power - 15);
}

/** All finite halves of positive sign in order, by their bits. */
const HALVES = Array.from({ length: 0x7c00 }, (_, bits) => halfByTheBook(bits));

/** The half nearest to x, found by bisection; of two equally near ones that with the even bits. */
function nearestHalf(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const size = Math.abs(x);
  let [low, high] = [0, HALVES.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (HALVES[middle]! <= size) low = middle;
    else high = middle;
  }
  // After the greatest finite half comes infinity, as if it were the next step, 65536.
  const above = HALVES[high] ?? 65536;
  const [down, up] = [size - HALVES[low]!, above - size];
  return sign | (up < down || (up === down && low % 2 === 1) ? high : low);
}

async function writtenHalves(data: Float32Array): Promise<Uint16Array> {
  const path = join(temporaryFolder(), "half.safetensors");
  await writeSafetensors(path, new Map([["x", { data, shape: [data.length] }]]), { dtype: "F16" });
  const bytes = readFileSync(path);
  return new Uint16Array(Uint8Array.from(bytes.subarray(bytes.length - 2 * data.length)).buffer);
}

describe("numbers", () => {
  const SPECIAL = [0, -0, 1, -1.5, 1e-45, -1e-45, 1.1754942e-38, 3.4028235e38, 1 / 3];
  /** All numbers of 16 bits whose exponent, under this mask, is not that of Infinity and NaN. */
  const finite = (mask: number) =>
    Uint16Array.from({ length: 65536 }, (_, i) => i).filter((bits) => (bits & mask) !== mask);

  test("float32, bit by bit", async () => {
    const numbers = Float32Array.from(SPECIAL);
    expectSame(await readOne("F32", bytesOf(numbers), numbers.length), numbers);
  });

  test("float64, rounded to float32", async () => {
    const numbers = Float64Array.from([...SPECIAL, Math.PI, 1e-300]);
    expectSame(await readOne("F64", bytesOf(numbers), numbers.length), [...numbers].map(Math.fround));
  });

  test("bfloat16: all that are finite are the upper halves of float32", async () => {
    const all = finite(0x7f80);
    const view = new DataView(new ArrayBuffer(4));
    const expected = Array.from(all, (bits) => {
      view.setUint16(0, bits);
      return view.getFloat32(0);
    });
    expectSame(await readOne("BF16", bytesOf(all), all.length), expected);
  });

  test("float16: all that are finite, subnormal and zero of both signs", async () => {
    const all = finite(0x7c00);
    const found = await readOne("F16", bytesOf(all), all.length);
    expectSame(found, Array.from(all, halfByTheBook));
    expect([found[0x0001], found[0x03ff], found[0x7bff]]).toEqual([2 ** -24, 1023 * 2 ** -24, 65504]);
  });

  test.each<[string, string, { buffer: ArrayBufferLike }]>([
    ["NaN", "F32", Float32Array.of(1, Number.NaN, 2)],
    ["-Infinity", "F32", Float32Array.of(1, Number.NEGATIVE_INFINITY, 2)],
    ["NaN", "F64", Float64Array.of(1, Number.NaN, 2)],
    ["Infinity", "F64", Float64Array.of(1, 1e300, 2)],
    ["NaN", "F16", Uint16Array.of(1, 0xfe00, 2)],
    ["Infinity", "F16", Uint16Array.of(1, 0x7c00, 2)],
    ["NaN", "BF16", Uint16Array.of(1, 0x7fc0, 2)],
    ["-Infinity", "BF16", Uint16Array.of(1, 0xff80, 2)],
  ])("%s as %s is refused, tensor and place named", async (value, dtype, numbers) => {
    const header = { x: { dtype, shape: [3], data_offsets: [0, bytesOf(numbers).length] } };
    expect(await refusal(fileOf(header, bytesOf(numbers)))).toContain(`holds ${value} in tensor x (number 1 of 3)`);
  });

  test("float16 written and read again is the same, for all halves", async () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const written = await writtenHalves(Float32Array.from(all, halfByTheBook));
    for (const bits of all) {
      const nan = (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
      if (nan) expect(Number.isNaN(halfByTheBook(written[bits]!))).toBe(true);
      else if (written[bits] !== bits) throw new Error(`${bits} was written as ${written[bits]}`);
    }
  });

  test("float16 rounds to the nearest, ties to even: halfway points, their neighbours and random floats", async () => {
    const view = new DataView(new ArrayBuffer(4));
    const neighbour = (x: number, step: number) => {
      view.setFloat32(0, x);
      view.setUint32(0, view.getUint32(0) + step);
      return view.getFloat32(0);
    };
    const halfway = HALVES.map((low, i) => (low + (HALVES[i + 1] ?? 65536)) / 2);
    const random = createRandom(1);
    const randomFloats = Array.from({ length: 50_000 }, () => (random() * 2 - 1) * 2 ** (random() * 48 - 30));
    const edges = [65504, 65519.99, 65520, 65536, 1e6, 3.4e38, 2 ** -25, 2 ** -25 * 1.0001, 1e-45, 0, -0];
    const data = Float32Array.from([
      ...halfway.flatMap((x) => [x, -x, neighbour(x, 1), neighbour(x, -1)]),
      ...randomFloats,
      ...edges,
    ]);
    const written = await writtenHalves(data);
    for (const [i, x] of data.entries()) {
      if (written[i] !== nearestHalf(x)) throw new Error(`${x}: wrote ${written[i]}, the nearest is ${nearestHalf(x)}`);
    }
  });
});

describe("the file", () => {
  test("what is written can be read, in any order, with shapes and metadata; the header is padded to 8 bytes", async () => {
    const path = join(temporaryFolder(), "some.safetensors");
    const a = { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] };
    // A view into a larger buffer writes its own part alone.
    const b = { data: Float32Array.of(9, 7, 8, 9).subarray(1, 3), shape: [2] };
    const none = { data: new Float32Array(0), shape: [0, 4] };
    await writeSafetensors(path, new Map(Object.entries({ a, none, b })), { metadata: { steps: "7" } });
    expect(readFileSync(path).readBigUInt64LE() % 8n).toBe(0n);
    const file = await openSafetensors(path);
    expect([...file.shapes]).toEqual([
      ["a", [2, 3]],
      ["none", [0, 4]],
      ["b", [2]],
    ]);
    expect(file.metadata).toEqual({ steps: "7" });
    expect((await file.read("b")).data).toEqual(Float32Array.of(7, 8));
    expect(await file.read("a")).toEqual(a);
    expect(await file.read("none")).toEqual(none);
    expect(await complaint(() => file.read("c"))).toBe(`${path} has no tensor c.`);
    await file.close();
  });

  test("it is written under another name and then renamed: what fails leaves the old file whole", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "x.safetensors");
    const tensors = new Map([["x", { data: Float32Array.of(1), shape: [1] }]]);
    await writeSafetensors(path, tensors);
    const { ino } = statSync(path);
    await writeSafetensors(path, tensors);
    // The name now belongs to another file, which was never seen half written.
    expect(statSync(path).ino).not.toBe(ino);
    expect(readdirSync(folder)).toEqual(["x.safetensors"]);
    // Where the temporary file cannot be written, the file stays as it was.
    mkdirSync(join(folder, `x.safetensors.${process.pid}.tmp`));
    const before = readFileSync(path);
    await expect(writeSafetensors(path, new Map())).rejects.toThrow();
    expect(readFileSync(path)).toEqual(before);
  });
});

describe("what is refused, in one sentence", () => {
  const F32 = (shape: number[], data_offsets: number[]) => ({ dtype: "F32", shape, data_offsets });

  test("no file, a folder, or a pointer of Git LFS", async () => {
    const folder = temporaryFolder();
    const missing = join(folder, "missing.safetensors");
    expect(await complaint(() => openSafetensors(missing), folder)).toBe(
      "cannot read missing.safetensors: there is no such file; a safetensors file is expected there.",
    );
    expect(await complaint(() => openSafetensors(folder))).toBe(
      `cannot read ${folder}: it is a folder, expected a file; a safetensors file is expected there.`,
    );
    const pointer = Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    expect(await refusal(pointer)).toContain("is only Git LFS's pointer to the file; fetch the file itself");
  });

  test("cut off anywhere", async () => {
    const whole = fileOf({ a: F32([1], [0, 4]), b: F32([2], [4, 12]) }, new Uint8Array(12));
    const path = write("cut.safetensors", whole);
    for (let size = whole.length - 1; size >= 0; size--) {
      truncateSync(path, size);
      const said = await complaint(() => openSafetensors(path));
      expect(said).toMatch(
        size < whole.length - 12 ? /is not a safetensors file, or it was cut off in its header/ : /was cut off; fetch/,
      );
    }
    expect(await refusal(whole.subarray(0, whole.length - 1))).toBe(
      "bad.safetensors ends before tensor b does: it was cut off; fetch or write it again.",
    );
  });

  test("another kind of file", async () => {
    expect(await refusal(Buffer.from("PK\x03\x04 this is a zip archive of some sort"))).toContain(
      "is not a safetensors file",
    );
    for (const header of ["{nonsense", "[]", "null", "3"]) {
      expect(await refusal(fileOf(header))).toBe(
        "bad.safetensors is not a safetensors file: its header is no JSON object.",
      );
    }
  });

  test("a header that describes no tensors", async () => {
    const entries = [
      null,
      5,
      {},
      { dtype: "F32", shape: [1] },
      { dtype: "F32", shape: "1", data_offsets: [0, 4] },
      F32([-1], [0, 4]),
      F32([0.5], [0, 2]),
      F32([1], [4, 0]),
      F32([1], [-4, 0]),
      F32([1], [0]),
    ];
    for (const x of entries) {
      expect(await refusal(fileOf({ x }, new Uint8Array(8)))).toBe(
        `bad.safetensors is not a safetensors file: its header says of x ${JSON.stringify(x)}.`,
      );
    }
  });

  test("more or fewer bytes than the shape needs", async () => {
    for (const size of [4, 12]) {
      expect(await refusal(fileOf({ x: F32([2, 1], [0, size]) }, new Uint8Array(12)))).toBe(
        `bad.safetensors gives tensor x ${size} bytes, its shape [2, 1] needs 8.`,
      );
    }
  });

  test.each<[string, unknown, number, string]>([
    [
      "bytes left over",
      { x: F32([1], [0, 4]) },
      12,
      "8 bytes after its last tensor belong to none; fetch or write it again.",
    ],
    ["no tensor at all for them", {}, 4, "4 bytes after its last tensor belong to none; fetch or write it again."],
    ["a hole", { x: F32([1], [0, 4]), y: F32([1], [8, 12]) }, 12, "tensor y leaves 4 bytes before it to no tensor"],
    ["a hole at the start", { x: F32([1], [4, 8]) }, 8, "tensor x leaves 4 bytes before it to no tensor"],
    [
      "two tensors in one place",
      { x: F32([1], [0, 4]), y: F32([1], [0, 4]) },
      4,
      "tensor y overlaps the tensor before it",
    ],
    ["an overlap", { x: F32([2], [0, 8]), y: F32([2], [4, 12]) }, 12, "tensor y overlaps the tensor before it"],
    ["an unknown type", { x: { dtype: "F31", shape: [1], data_offsets: [0, 4] } }, 4, "its header says of x"],
    [
      "metadata that are no texts",
      { __metadata__: { steps: 3 } },
      0,
      "its __metadata__ holds something else than texts",
    ],
    [
      "a shape beyond all numbers",
      { x: F32([2 ** 40, 2 ** 40], [0, 4]) },
      4,
      "its shape [1099511627776, 1099511627776] needs",
    ],
  ])("%s", async (_, header, size, message) => {
    expect(await refusal(fileOf(header, new Uint8Array(size)))).toContain(message);
  });

  test("a name that is there twice", async () => {
    const entry = JSON.stringify(F32([1], [0, 4]));
    expect(await refusal(fileOf(`{"x":${entry},"x":${entry}}`, new Uint8Array(4)))).toBe(
      'bad.safetensors is not a safetensors file: its header has "x" twice.',
    );
  });

  test("tensors in any order, and empty ones, are well", async () => {
    const header = { b: F32([1], [4, 8]), none: F32([0, 3], [4, 4]), a: F32([1], [0, 4]) };
    const file = await openSafetensors(write("order.safetensors", fileOf(header, bytesOf(Float32Array.of(1, 2)))));
    expect((await file.read("a")).data).toEqual(Float32Array.of(1));
    expect((await file.read("b")).data).toEqual(Float32Array.of(2));
    expect((await file.read("none")).data.length).toBe(0);
    await file.close();
  });

  test.each([
    ["I64", 8],
    ["F8_E4M3", 1],
    ["BOOL", 1],
  ])("numbers of type %s, only when they are read", async (dtype, size) => {
    const header = { x: { dtype, shape: [1], data_offsets: [0, size] } };
    expect(await refusal(fileOf(header, new Uint8Array(size)))).toBe(
      `bad.safetensors holds tensor x as ${dtype}; klamp reads F64, F32, F16, BF16.`,
    );
  });
});

test("log-probabilities of −∞ are read where they may be", async () => {
  const numbers = Float32Array.of(-1, Number.NEGATIVE_INFINITY);
  const header = { x: { dtype: "F32", shape: [2], data_offsets: [0, 8] } };
  const file = await openSafetensors(write("rows.safetensors", fileOf(header, bytesOf(numbers))));
  expect((await file.read("x", { finite: false })).data).toEqual(numbers);
  await file.close();
});
