import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { readData } from "../../../src/data/files/index.ts";
import { complaint, temporaryFolder } from "../folders.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/data-files/", import.meta.url));

/** Those of scripts/fixtures/data-files.py. */
const LINES = [
  { prompt: "Q: hi\nA:", completion: " yes" },
  { prompt: 'Q: "so", they say, é 日 😀?\nA:', completion: " no" },
  { prompt: "", completion: " a line\n\nof its own, " },
];

const folder = temporaryFolder();

async function read(path: string): Promise<{ source: string; value: unknown }[]> {
  const lines = [];
  for await (const { source, value } of readData(path)) lines.push({ source, value });
  return lines;
}

async function values(path: string): Promise<unknown[]> {
  return (await read(path)).map(({ value }) => value);
}

function write(name: string, content: string | Uint8Array): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const refusal = (name: string, content: string | Uint8Array) => complaint(() => read(write(name, content)), folder);

describe("files that Python wrote hold what it wrote", () => {
  test.each([
    ["lines.jsonl.gz", [":1", ":2", ":3"]],
    ["indented.json", [":2 (item 1)", ":6 (item 2)", ":10 (item 3)"]],
    // Line ends within cells count.
    ["lines.csv", [":2", ":4", ":6"]],
    ["lines.csv.gz", [":2", ":4", ":6"]],
    ["lines.tsv", [":2", ":4", ":6"]],
    ["lines-none.parquet", [" (row 1)", " (row 2)", " (row 3)"]],
    ["lines-snappy.parquet", [" (row 1)", " (row 2)", " (row 3)"]],
    ["lines-gzip.parquet", [" (row 1)", " (row 2)", " (row 3)"]],
    ["lines-zstd.parquet", [" (row 1)", " (row 2)", " (row 3)"]],
    ["lines-brotli.parquet", [" (row 1)", " (row 2)", " (row 3)"]],
    ["lines-lz4.parquet", [" (row 1)", " (row 2)", " (row 3)"]],
  ])("%s", async (name, places) => {
    const found = await read(join(FIXTURES, name));
    expect(found).toEqual(LINES.map((value, i) => ({ source: `${name}${places[i]}`, value })));
  });

  test("lists, numbers and nulls of Parquet are those of JSON", async () => {
    expect(await values(join(FIXTURES, "tokens.parquet"))).toEqual([
      { tokens: [5, 6, 7], weights: [0, 0.5, 2] },
      { tokens: [1, 2], weights: null },
    ]);
    const turn = (role: string, content: string, weight: number | null) => ({ role, content, weight });
    expect(await values(join(FIXTURES, "chats.parquet"))).toEqual([
      { messages: [turn("user", "hi", null), turn("assistant", "yes", 0.5)], id: 7 },
      { messages: [turn("user", "so?", null), turn("assistant", "no", null)], id: null },
    ]);
  });
});

describe("content tells the form, whatever the name", () => {
  test("a column of floats holds floats where a template may print them", async () => {
    const [line] = (await values(join(FIXTURES, "calls.parquet"))) as { messages: { tool_calls: object[] }[] }[];
    const [call] = line!.messages[0]!.tool_calls as { arguments: { price: unknown; n: unknown } }[];
    expect([String(call!.arguments.price), call!.arguments.n]).toEqual(["2.0", 2]);
  });

  test("bytes that are no UTF-8 are no text, and a byte order mark stays", async () => {
    const [broken, marked] = (await values(join(FIXTURES, "not-utf-8.parquet"))) as { text: unknown }[];
    expect(broken!.text).toEqual([...Buffer.from("to \xff be", "latin1")]);
    expect(marked!.text).toBe("\ufeffor");
    expect(await complaint(() => values(join(FIXTURES, "doubled.parquet")), FIXTURES.replace(/\/$/, ""))).toBe(
      'doubled.parquet: two columns are called "text", and only one can count: rename one',
    );
  });

  test("gzip and Parquet without an ending", async () => {
    cpSync(join(FIXTURES, "lines.jsonl.gz"), join(folder, "packed"));
    cpSync(join(FIXTURES, "lines-snappy.parquet"), join(folder, "table"));
    expect(await values(join(folder, "packed"))).toEqual(LINES);
    expect(await values(join(folder, "table"))).toEqual(LINES);
  });

  test("a list in a file called .jsonl, and JSON Lines in one called .json", async () => {
    expect(await values(write("list.jsonl", `\n [${LINES.map((line) => JSON.stringify(line)).join(",")}]\n`))).toEqual(
      LINES,
    );
    expect(await values(write("lines.json", LINES.map((line) => JSON.stringify(line)).join("\n")))).toEqual(LINES);
  });

  test("a list longer than one read, with brackets, commas and quotes in its texts", async () => {
    const items = Array.from({ length: 3000 }, (_, i) => ({ text: `]},"\\${i}é😀[{`.repeat(5), id: i }));
    const found = await read(write("long.json", JSON.stringify(items, null, 1)));
    expect(found.map(({ value }) => value)).toEqual(items);
    expect(found.at(-1)!.source).toBe(`long.json:${2 + 4 * 2999} (item 3000)`);
  });
});

test("cells of lists and numbers are JSON, others are text, and an empty one is none", async () => {
  const csv = 'text,weight,tools,note\n1,0.5,"[{""name"":""f""}]",[1]\n2,,,\n';
  expect(await values(write("typed.csv", csv))).toEqual([
    { text: "1", weight: 0.5, tools: [{ name: "f" }], note: "[1]" },
    { text: "2", weight: null, tools: null, note: "" },
  ]);
});

test("a prompt's and completion's cells that are lists of messages are those", async () => {
  const csv =
    'prompt,completion\n"[{""role"":""user"",""content"":""hi""}]","[{""role"": ""assistant""}]"\n[1],[INST]\n';
  expect(await values(write("turns.csv", csv))).toEqual([
    { prompt: [{ role: "user", content: "hi" }], completion: [{ role: "assistant" }] },
    { prompt: "[1]", completion: "[INST]" },
  ]);
});

test("what a template may print keeps its digits; weights are numbers", async () => {
  const line = '{"messages":[{"role":"user","content":"a","n":9007199254740993,"f":1.0}],"weight":1.0}';
  const [value] = (await values(write("digits.jsonl", line))) as { messages: { n: unknown; f: unknown }[] }[];
  expect(value!.messages[0]!.n).toBe(9007199254740993n);
  expect(String(value!.messages[0]!.f)).toBe("1.0");
  expect(value).toHaveProperty("weight", 1);
});

test("Windows line ends, a byte order mark, spaces around names, and a last row without an end", async () => {
  expect(await values(write("windows.csv", '\ufeffprompt, completion\r\na,"b\r\nc"\r\n\r\nd, e'))).toEqual([
    { prompt: "a", completion: "b\r\nc" },
    { prompt: "d", completion: " e" },
  ]);
});

describe("a pattern", () => {
  test("is all files that fit, in the order of their names", async () => {
    const parts = join(folder, "[parts]");
    mkdirSync(join(parts, "below"), { recursive: true });
    for (const name of ["b.jsonl", "a.jsonl", "c.txt", "below/d.jsonl"]) {
      writeFileSync(join(parts, name), `{"text":"${name}"}`);
    }
    const texts = async (pattern: string) =>
      (await values(join(parts, pattern))).map((value) => (value as { text: string }).text);
    expect(await texts("*.jsonl")).toEqual(["a.jsonl", "b.jsonl"]);
    expect(await texts("**/*.jsonl")).toEqual(["a.jsonl", "b.jsonl", "below/d.jsonl"]);
    expect(await texts("{b,c}.*")).toEqual(["b.jsonl", "c.txt"]);
    expect(await texts("a.jsonl")).toEqual(["a.jsonl"]);
    expect(await complaint(() => texts("*.csv"), folder)).toBe(
      "no file fits [parts]/*.csv: check the pattern, or name a file",
    );
  });

  test("is none where a file is called so", async () => {
    expect(await values(write("what[1]?.jsonl", '{"text":"a"}'))).toEqual([{ text: "a" }]);
  });
});

describe("a key that an object has twice is refused", () => {
  test.each([
    ['{"prompt":"a","prompt":"b","completion":"c"}', "prompt"],
    ['{"messages":[{"role":"user","content":"a"},{"role":"user","content":"a","content":"b"}]}', "content"],
    ['{"text":"a","meta":{"x":[{}, {"y":1,"\\u0079":2}]}}', "y"],
  ])("%s", async (line, key) => {
    expect(await refusal("doubled.jsonl", `{"text":"ok"}\n${line}`)).toBe(
      `doubled.jsonl:2: the key "${key}" is there twice in one object, and only one can count: take one out`,
    );
  });

  test("in the JSON of a cell", async () => {
    const cell = '"[{""role"":""user"",""role"":""assistant""}]"';
    expect(await refusal("doubled.csv", `messages\n${cell}\n`)).toMatch(
      /^doubled\.csv:2: `messages` is .*, expected JSON in this column \(the key "role" is there twice in one object/,
    );
  });

  test("and not what only looks so", async () => {
    const line = '{"text":"\\"text\\":{\\"text\\"","a":{"text":1},"b":["text","text",{"b":1},{"b":1}],"\\\\":"\\\\"}';
    expect(await values(write("single.jsonl", line))).toEqual([JSON.parse(line)]);
  });
});

describe("what cannot be read is refused", () => {
  const gzip = readFileSync(join(FIXTURES, "lines.jsonl.gz"));
  const parquet = readFileSync(join(FIXTURES, "lines-none.parquet"));
  const EMPTY = "the file is empty: expected JSON Lines, one example a line";

  test.each<[string, string | Uint8Array, string | RegExp]>([
    ["cut.jsonl.gz", gzip.subarray(0, -12), "cannot read cut.jsonl.gz: the gzip file is cut off"],
    [
      "harmed.gz",
      Buffer.concat([gzip.subarray(0, 20), gzip.subarray(24)]),
      /^cannot read harmed.gz: the gzip file is /,
    ],
    ["latin.gz", gzipSync(Buffer.from('{"text":"\xe9"}', "latin1")), "cannot read latin.gz: it is not UTF-8 text"],
    ["none.gz", gzipSync(""), `none.gz: ${EMPTY}`],
    ["none.json", " [ ] ", `none.json: ${EMPTY}`],
    ["none.csv", "text\n", `none.csv: ${EMPTY}`],
    ["cut.parquet", parquet.subarray(0, -20), /^cannot read cut.parquet: the Parquet file is damaged \(/],
    ["both.gz", gzipSync(parquet.subarray(0, 8)), /^cannot read both.gz: it is Parquet within gzip: unpack it/],
    ["a.zip", Buffer.from("PK\x03\x04 and more"), "cannot read a.zip: it is a zip archive: unpack it"],
    [
      "open.json",
      '[{"text":"a"},\n{"text":"b"}',
      "open.json: the file ends within its JSON list, at line 2: is it cut off?",
    ],
    ["more.json", '[{"text":"a"}]\n[', "more.json:2: the file goes on after the end of its list: give one JSON list"],
    ["gap.json", '[{"text":"a"},,{"text":"b"}]', /^gap.json:1 \(item 2\): this item is not valid JSON/],
    ["comma.json", '[{"text":"a"},]', /^comma.json:1 \(item 2\): this item is not valid JSON/],
    [
      "indented.jsonl",
      '{\n  "text": "a"\n}\n',
      "indented.jsonl: its objects go over several lines: write each in one line, or all as one JSON list",
    ],
    ["bare.json", '["a"]', /^bare.json:1 \(item 1\): this item is "a", expected one object such as/],
    [
      "long.csv",
      "a,b\n1,2\n1,2,3\n",
      "long.csv:3: this row has 3 cells, expected 2, one for each name in the first row",
    ],
    ["twice.csv", "a,a\n1,2\n", 'twice.csv:1: two columns are called "a", and only one can count: rename one'],
    ["quote.csv", 'a,b\n1,"2\n', /^quote.csv: this is not valid CSV: .* at line 2/],
    ["inner.csv", 'a,b\nsay "hi",2\n', /^inner.csv: this is not valid CSV: .* at line 2/],
    [
      "semicolons.csv",
      "prompt;completion\na;b\n",
      'semicolons.csv:1: the first row is one cell, "prompt;completion": put commas between cells, or tabs in a file called .tsv',
    ],
    ["weight.csv", "text,weight\na,much\n", 'weight.csv:2: `weight` is "much", expected JSON in this column'],
    ["pointer.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", /it is a pointer of Git LFS/],
    ["table.feather", "ARROW1\0\0", "cannot read table.feather: it is an Arrow file: write it as Parquet"],
  ])("%s", async (name, content, expected) => {
    expect(await refusal(name, content)).toMatch(expected);
  });
});

test("a line, an item and a row of more characters than any model reads are refused before they are held whole", async () => {
  const long = "a".repeat(70_000_000);
  const lines = gzipSync(`{"text":"a"}\n{"text":"${long}"}\n`, { level: 1 });
  expect(await refusal("long.jsonl.gz", lines)).toBe(
    "long.jsonl.gz:2: this line has more than 67,108,864 characters, which no model reads: split its text",
  );
  expect(await refusal("long.json.gz", gzipSync(`[{"text":"${long}"}]`, { level: 1 }))).toBe(
    "long.json.gz:1: this item has more than 67,108,864 characters, which no model reads: split its text",
  );
  expect(await refusal("long.csv.gz", gzipSync(`text\n${long}\n`, { level: 1 }))).toContain(
    "long.csv.gz: this is not valid CSV: ",
  );
});

test.skipIf(process.platform === "win32")("a pipe and a device are told as what they are", async () => {
  execFileSync("mkfifo", [join(folder, "pipe")]);
  symlinkSync("/dev/zero", join(folder, "device"));
  for (const name of ["pipe", "device"]) {
    expect(await complaint(() => read(join(folder, name)), folder)).toBe(
      `cannot read ${name}: it is no regular file but a pipe, socket or device`,
    );
  }
});
