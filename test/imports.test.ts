import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/** @file Imports point one way, as docs/architecture.md says: what a room of src/ may know of the others, types counted. */

const MATHEMATICS = ["common", "divergence"];
const LOSS = [...MATHEMATICS, "data", "loss"];
const MODEL = [...LOSS, "model"];
const REFERENCE = [...MODEL, "reference"];
const REGULARIZER = [...REFERENCE, "regularizer"];

/** The rooms, each with those that it may import from, besides itself. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  common: [],
  hub: ["common"],
  divergence: [],
  data: MATHEMATICS,
  loss: LOSS,
  model: MODEL,
  reference: REFERENCE,
  regularizer: REGULARIZER,
  engine: [...MODEL, "hub"],
  config: REGULARIZER,
  train: REGULARIZER,
  drift: MODEL,
  run: [...REGULARIZER, "config", "train", "drift", "engine", "hub"],
  report: ["common"],
  server: MODEL,
  opentelemetry: [...REGULARIZER, "config", "train"],
  cli: ["common", "config", "run", "report", "server", "hub"],
};

/** Within `engine`: graphs and model families know no runtime, and a run knows no engine but by its factory. */
const PLACES: readonly { readonly place: string; readonly may: readonly string[] }[] = [
  { place: "engine/graph/", may: ["engine/graph/", "common/"] },
  { place: "engine/families/", may: ["engine/graph/", "engine/families/", "common/", "divergence/", "model/"] },
];
const ENGINE_DOOR = "engine/open.ts";
/** The wire that the Tinker engine and the server share. */
const WIRE = ["engine/tinker/wire/", "engine/tinker/rows.ts"];

const SRC = fileURLToPath(new URL("../src/", import.meta.url));

interface Import {
  readonly from: string;
  readonly to: string;
}

/** The part of the entry points, which lie in no room. */
const ENTRIES = ["index.ts"];

const roomOf = (file: string) => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "");
const files = readdirSync(SRC, { encoding: "utf8", recursive: true })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll(sep, "/"));
const sourceOf = (file: string) => readFileSync(join(SRC, file), "utf8");
const imports = files.flatMap((from): Import[] => {
  const found = sourceOf(from).matchAll(/(?:\bfrom |\bimport\()"(\.[^"]+)"/g);
  return [...found].map(([, path]) => ({ from, to: normalize(join(dirname(from), path!)).replaceAll(sep, "/") }));
});

test("the rooms are those told here, and every import leads to a file", () => {
  expect([...new Set(files.map(roomOf))].filter(Boolean).sort()).toEqual(Object.keys(ROOMS).sort());
  expect(files.filter((file) => roomOf(file) === "")).toEqual(ENTRIES);
  expect(imports.length).toBeGreaterThan(files.length);
  for (const { to } of imports) expect(files).toContain(to);
});

describe("imports point one way", () => {
  test.each(Object.entries(ROOMS))("%s may know %j", (room, others) => {
    const stray = imports.filter(({ from, to }) => {
      const there = roomOf(to);
      const isWire = room === "server" && WIRE.some((shared) => to.startsWith(shared));
      return roomOf(from) === room && there !== room && !others.includes(there) && !isWire;
    });
    expect(stray).toEqual([]);
  });

  test.each(PLACES)("$place may know $may", ({ place, may }) => {
    const stray = imports.filter(
      ({ from, to }) => from.startsWith(place) && !may.some((other) => to.startsWith(other)),
    );
    expect(stray).toEqual([]);
  });

  test("and never in a circle", () => {
    const open = new Set<string>();
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      expect(open.has(file) ? [...path, file] : []).toEqual([]);
      if (done.has(file)) return;
      open.add(file);
      for (const { to } of imports.filter(({ from }) => from === file)) visit(to, [...path, file]);
      open.delete(file);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(done.size).toBe(files.length);
  });
});

test("the hub is asked by runs, the command line and the engines' factory alone", () => {
  const users = imports.filter(({ from, to }) => roomOf(to) === "hub" && !["hub", "run", "cli"].includes(roomOf(from)));
  expect([...new Set(users.map(({ from }) => from))].sort()).toEqual([ENGINE_DOOR, ...ENTRIES]);
});

describe("ONNX Runtime", () => {
  const users = files.filter((file) => /(?:\bfrom |\bimport\()"onnxruntime-/.test(sourceOf(file)));

  test("is known to one port alone", () => {
    expect(users).toEqual(["engine/local/runtime.ts"]);
  });

  test("a run opens engines by their factory alone", () => {
    const known = imports.filter(({ from, to }) => roomOf(from) === "run" && roomOf(to) === "engine");
    expect([...new Set(known.map(({ to }) => to))]).toEqual([ENGINE_DOOR]);
  });
});
