import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/** @file Imports point one way, as docs/architecture.md says: what a room of src/ may know of the others. */

/** The rooms, each with those that it may import from, besides itself and the few files that belong to no room. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  divergence: [],
  data: ["divergence"],
  reference: ["data", "divergence"],
  regularizer: ["reference", "data", "divergence"],
  engine: ["regularizer", "data", "divergence"],
  drift: ["data", "divergence"],
  report: [],
  server: ["engine", "data", "divergence"],
  train: ["drift", "engine", "regularizer", "reference", "data", "divergence"],
  opentelemetry: ["train"],
  cli: ["train", "drift", "report", "regularizer", "reference", "divergence"],
};

/** What an engine is: a type, which all may speak of who ask a model for something. */
const CONTRACT = "engine/contract.ts";

const SRC = fileURLToPath(new URL("../src/", import.meta.url));

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}

const roomOf = (file: string) => (file.includes("/") ? file.slice(0, file.indexOf("/")) : "");
const files = readdirSync(SRC, { encoding: "utf8", recursive: true })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll(sep, "/"));
const imports = files.flatMap((from): Import[] => {
  const found = readFileSync(join(SRC, from), "utf8").matchAll(
    /^(?:import|export)( type)? (?:\{[^}]*\}|\*|[^"{}]*) ?from "(\.[^"]+)";/gm,
  );
  return [...found].map(([, type, path]) => ({
    from,
    to: normalize(join(dirname(from), path!)).replaceAll(sep, "/"),
    isType: type !== undefined,
  }));
});

test("the rooms are those told here, and every import leads to a file", () => {
  expect([...new Set(files.map(roomOf))].filter(Boolean).sort()).toEqual(Object.keys(ROOMS).sort());
  expect(imports.length).toBeGreaterThan(files.length);
  for (const { to } of imports) expect(files).toContain(to);
});

describe("imports point one way", () => {
  test.each(Object.entries(ROOMS))("%s may know %j", (room, others) => {
    const stray = imports.filter(({ from, to, isType }) => {
      const there = roomOf(to);
      if (roomOf(from) !== room || there === room) return false;
      if (room === "divergence") return true;
      return there !== "" && !others.includes(there) && !(to === CONTRACT && isType);
    });
    expect(stray).toEqual([]);
  });

  test("and never in a circle, types aside", () => {
    const open = new Set<string>();
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      expect(open.has(file) ? [...path, file] : []).toEqual([]);
      if (done.has(file)) return;
      open.add(file);
      for (const { to } of imports.filter(({ from, isType }) => from === file && !isType)) visit(to, [...path, file]);
      open.delete(file);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(done.size).toBe(files.length);
  });
});
