import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { HEADLINES, metricInfo } from "../../src/config/metrics.ts";
import { formula, KINDS, namesOf, regularizer } from "../../src/config/regularizers/index.ts";

/** @file All that the rest of klamp knows of a kind of regularizer stands in the file of its settings. */

const SRC = new URL("../../src/", import.meta.url);

/** The code of a file, without its comments. */
const read = (path: string) => readFileSync(new URL(path, SRC), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
const SHOWING = readdirSync(SRC, { encoding: "utf8", recursive: true }).filter(
  (file) => file.endsWith(".ts") && /^(run|report|opentelemetry|cli)\b/.test(file),
);

describe.each(KINDS.map((kind) => [kind.type, kind] as const))("%s", (type, kind) => {
  test("is what its settings are of, with a formula", () => {
    const settings = regularizer.parse({ type });
    expect(settings.type).toBe(type);
    expect(formula(settings)).toMatch(/[‖(]/);
  });

  test("has a headline, and each metric a title, a unit and a meaning", () => {
    expect(Object.keys(kind.metrics)).toContain(kind.headline.metric);
    for (const [name, info] of Object.entries(kind.metrics)) {
      expect(metricInfo(`mine/${name}`)).toBe(info);
      expect(info.title).toMatch(/^[A-Z]/);
      expect(info.unit).not.toBe("");
      expect(info.meaning).toMatch(/^[A-Z\d].*\.$/);
    }
  });

  // The word is also what a store shows of its rows.
  test.skipIf(type === "entropy")("is named by no code that shows or builds it", () => {
    const names = [type, ...Object.keys(kind.metrics)].join("|");
    const naming = SHOWING.filter((file) => new RegExp(`"(${names})"|\\.(${names})\\b`).test(read(file)));
    expect(naming).toEqual([]);
  });
});

test("no two kinds measure under one name", () => {
  const names = KINDS.flatMap(({ metrics }) => Object.keys(metrics));
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(HEADLINES.map(({ short }) => short)).size).toBe(KINDS.length);
});

test("formulas are those of the settings", () => {
  const of = (settings: object) => formula(regularizer.parse(settings));
  expect(of({})).toBe("KL(reference‖model)");
  expect(of({ direction: "forward" })).toBe("KL(model‖reference)");
  expect(of({ symmetric: true })).toBe("JS(model, reference)");
  expect(of({ type: "jensen_shannon", beta: 0.2 })).toBe("JS(model, reference; β 0.2)");
  expect(of({ type: "entropy", mode: "penalty" })).toBe("H(model)");
  expect(of({ type: "consistency" })).toBe("KL(view‖model)");
  expect(of({ type: "consistency", direction: "model||view" })).toBe("KL(model‖view)");
  expect(of({ type: "l1", factors: "B" })).toBe("‖B‖₁");
  expect(of({ type: "l2" })).toBe("½‖A, B‖²");
  expect(of({ type: "elastic_net", l1_ratio: 0.2 })).toBe("0.2‖A, B‖₁ + 0.4‖A, B‖²");
  expect(of({ type: "orthogonality", target: "identity" })).toBe("‖A, B products − identity‖²");
});

test("a kind that occurs again is numbered, given names stay", () => {
  const of = (name: string | null, type: "l1" | "l2" = "l2") => ({ name, type });
  expect(namesOf([of(null), of("mine"), of(null), of(null, "l1"), of(null)])).toEqual([
    "l2",
    "mine",
    "l2_2",
    "l1",
    "l2_3",
  ]);
});
