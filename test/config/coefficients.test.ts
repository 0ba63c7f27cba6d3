import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type CoefficientConfig,
  canTrain,
  describeCoefficient,
  makeCoefficient,
} from "../../src/config/coefficients/index.ts";
import { loadConfig, stringifyConfig } from "../../src/config/file.ts";

const folder = mkdtempSync(join(tmpdir(), "klamp-weights-"));
const file = join(folder, "config.yaml");

function read(weight: string, ...sets: string[]): CoefficientConfig {
  writeFileSync(file, `model: m\ndata: { train: t }\nregularizers:\n  - weight: ${weight}\n`);
  return loadConfig(file, sets).regularizers[0]!.weight;
}

test("what is not written has a default", () => {
  expect(read("{ budget: 0.1 }")).toEqual({ budget: 0.1, update: "additive", initial: 0.1, rate: null });
  expect(read("{ controller: adaptive, target: 0.2 }")).toEqual({
    controller: "adaptive",
    target: 0.2,
    initial: 0.1,
    horizon: 10,
  });
  expect(read("{ schedule: cosine, to: 1, steps: 9 }")).toEqual({ schedule: "cosine", from: 0, to: 1, steps: 9 });
});

describe.each([
  ["0.3", [0.3, 0.3], "0.3", true],
  ["0", [0, 0], "0", false],
  ["{ schedule: constant, value: 0.3 }", [0.3, 0.3], "0.3", true],
  ["{ schedule: linear, from: 1, to: 0, steps: 3 }", [1, 0.5, 0], "1 to 0 over 3 steps (linear)", true],
  ["{ schedule: cosine, to: 2, steps: 3 }", [0, 1, 2], "0 to 2 over 3 steps (cosine)", true],
  ["{ schedule: warmup, to: 0, steps: 3 }", [0, 0, 0], "0 to 0 over 3 steps (warmup)", false],
  ["{ schedule: piecewise, points: [[1, 0], [3, 1]] }", [0, 0.5, 1], "0 in step 1, 1 in step 3", true],
  ["{ controller: adaptive, target: 0.2, initial: 3 }", [3], "for a target of 0.2 nats per token", true],
  ["{ budget: 0.1, initial: 0 }", [0], "for a budget of 0.1 nats per token", true],
] as const)("%s", (written, steps, words, acts) => {
  test("is the weight that it says, in words too", () => {
    const config = read(written);
    const weight = makeCoefficient(config);
    for (const [i, expected] of steps.entries())
      expect(typeof weight === "number" ? weight : weight.at(weight.init(), i + 1)).toBeCloseTo(expected, 12);
    expect([describeCoefficient(config), canTrain(config)]).toEqual([words, acts]);
  });

  test("reads back from what a run keeps", () => {
    const config = read(written);
    writeFileSync(file, stringifyConfig(loadConfig(file)));
    expect(loadConfig(file).regularizers[0]!.weight).toEqual(config);
  });
});

test("a controller goes on from what was measured, as its settings say", () => {
  const weight = makeCoefficient(read("{ budget: 0.1, rate: 2 }"));
  if (typeof weight === "number") throw new Error("a budget is no number");
  const state = weight.update(weight.init(), { value: 3, metrics: {} });
  // 0.1 + 2 · (3 − 0.1)
  expect(weight.at(state, 2)).toBeCloseTo(5.9, 12);
});

test("one setting of it can be set", () => {
  expect(read("{ budget: 0.1 }", "regularizers.0.weight.budget=0.2")).toMatchObject({ budget: 0.2 });
  expect(read("{ budget: 0.1 }", "regularizers.0.weight=0.5")).toBe(0.5);
});

describe("what is wrong is said", () => {
  const ANY =
    "expected a finite number of at least 0, or what moves it, such as { budget: 0.1 } or { schedule: linear, to: 0.5, steps: 100 }";
  test.each([
    [
      "{ schedule: linaer, to: 1, steps: 5 }",
      '.schedule is "linaer", expected linear, cosine, warmup, constant or piecewise',
    ],
    ["{ budgt: 0.1 }", "unknown key `budgt` in regularizers.0.weight; did you mean `budget`?"],
    [
      "{ schedule: linear, to: 0.5 }",
      ' is {"schedule":"linear","to":0.5}, expected { schedule: linear, to: NUMBER, steps: NUMBER }',
    ],
    ["{ schedule: constant }", ' is {"schedule":"constant"}, expected { schedule: constant, value: NUMBER }'],
    ["{ controller: adaptive }", ' is {"controller":"adaptive"}, expected { controller: adaptive, target: NATS }'],
    ["{ controller: pid, target: 1 }", '.controller is "pid", expected adaptive'],
    ["{ budget: -1 }", ".budget is -1, expected a finite number above 0"],
    ["{ budget: 0.1, rate: 0 }", ".rate is 0, expected a finite number above 0"],
    ["{ budget: 0.1, target: 2 }", " cannot have both `budget` and `target`: remove one"],
    [
      "{ budget: 0.1, update: multiplicative, initial: 0 }",
      ".initial: must be > 0: a multiplicative update never leaves 0",
    ],
    [
      "{ schedule: piecewise, points: [[5, 1], [2, 1]] }",
      ".points is [[5,1],[2,1]], expected a list of [STEP, WEIGHT], such as [[1, 0], [100, 0.5]], steps rising",
    ],
    ["{ target: 2, initial: 1, budget: 0.1 }", " cannot have both `budget` and `target`: remove one"],
    ["{}", ` is {}, ${ANY}`],
    ["heavy", ` is "heavy", ${ANY}`],
  ])("%s", (written, expected) => {
    const place = expected.startsWith("unknown") ? "" : "regularizers.0.weight";
    expect(() => read(written)).toThrow(`${file}:4: ${place}${expected}`);
  });
});

describe("what measures no divergence is not controlled by one", () => {
  test.each([
    ["l2", "{ budget: 0.1 }"],
    ["l1", "{ controller: adaptive, target: 0.1 }"],
    ["elastic_net", "{ budget: 0.1 }"],
    ["orthogonality", "{ budget: 0.1 }"],
    ["entropy", "{ budget: 0.1 }"],
  ])("%s, %s", (type, written) => {
    expect(() => read(`${written}\n    type: ${type}`)).toThrow(
      ":4: regularizers.0.weight: a budget or a controller needs nats per token: use a number or a schedule",
    );
    expect(read(`{ schedule: warmup, to: 0.1, steps: 3 }\n    type: ${type}`)).toMatchObject({ to: 0.1 });
  });

  test("a penalty on entropy is measured in nats, and can be", () => {
    expect(read("{ budget: 0.1 }\n    type: entropy\n    mode: penalty")).toMatchObject({ budget: 0.1 });
  });
});
