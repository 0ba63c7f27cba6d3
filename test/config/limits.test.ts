import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { loadConfig } from "../../src/config/file.ts";

/** @file Configurations that no person writes: each is one sentence, soon. */

const folder = mkdtempSync(join(tmpdir(), "klamp-limits-"));
const file = join(folder, "config.yaml");
const REQUIRED = "model: ./model\ndata: { train: ./train.jsonl }\n";

function refusal(path: string, ...sets: string[]): string {
  try {
    loadConfig(path, sets);
  } catch (error) {
    if (error instanceof UserError) return error.message.replaceAll(`${folder}/`, "");
    throw error;
  }
  throw new Error("the configuration was accepted");
}

function refusalOf(yaml: string, ...sets: string[]): string {
  writeFileSync(file, yaml);
  return refusal(file, ...sets);
}

describe("aliases", () => {
  test.each([
    ["model: *base\n", "config.yaml:1: this is not valid YAML: *base names no &base before it"],
    ["a: *b\nb: &b 1\n", "config.yaml:1: this is not valid YAML: *b names no &b before it"],
    ["&x\nmodel: *x\n", "config.yaml:2: this is not valid YAML: *x stands within &x itself"],
    ["model: m\ndata: &d\n  train: [*d]\n", "config.yaml:3: this is not valid YAML: *d stands within &d itself"],
    [
      "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n",
      "config.yaml:4: this is not valid YAML: its aliases stand for too many values",
    ],
    [`a: ${"[".repeat(5000)}`, "config.yaml:1: this is not valid YAML: it is nested too deeply"],
  ])("%j", (yaml, expected) => {
    expect(refusalOf(yaml)).toBe(expected);
  });

  test("in an override", () => {
    expect(refusalOf(REQUIRED, "train=*a")).toBe(
      "--set train=*a: the value is not valid YAML: *a names no &a before it",
    );
    expect(refusalOf(REQUIRED, "train=&a [*a]")).toBe(
      "--set train=&a [*a]: the value is not valid YAML: *a stands within &a itself",
    );
  });

  test("an override of one place leaves the other places of an alias as they are", () => {
    writeFileSync(
      file,
      "model: ./model\ndata: { train: ./train.jsonl }\nregularizers:\n  - &kl { type: kl_divergence, name: a }\n  - *kl\n",
    );
    const { regularizers } = loadConfig(file, ["regularizers.1.name=b"]);
    expect(regularizers.map(({ name }) => name)).toEqual(["a", "b"]);
  });
});

test.each<[key: string, value: string, expected: string]>([
  ["train.steps", "1e15", "expected a whole number from 1 to 1,000,000,000"],
  ["train.epochs", "1e308", "expected a number above 0, at most 1,000,000,000"],
  ["train.batch_size", "9007199254740991", "expected a whole number from 1 to 1,000,000,000"],
  ["train.seed", "9007199254740991", "expected a whole number from 0 to 4,503,599,627,370,496"],
  ["evaluate.drift_samples", "9007199254740991", "expected a whole number from 0 to 1,000,000"],
  ["evaluate.max_tokens", "1e12", "expected a whole number from 1 to 1,000,000,000"],
  ["engine.threads", "1000000", "expected a whole number from 1 to 1,024"],
  ["optimizer.eps", "0", "expected a number from 1e-20 to 1"],
  ["optimizer.eps", "1e-320", "expected a number from 1e-20 to 1"],
  ["optimizer.learning_rate", "1e300", "expected a finite number of at least 0 that float32 holds, at most 3.4e38"],
  ["lora.alpha", "1e39", "expected a finite number above 0 that float32 holds, at most 3.4e38"],
  ["regularizers.0.text.samples", "1e9", "expected a whole number from 1 to 1,000,000"],
  ["regularizers.0.text.temperature", "1e-320", "expected a number from 0.001 to 1000"],
])("%s has a bound that %s is beyond", (key, value, expected) => {
  const yaml = `${REQUIRED}regularizers: [{ type: kl_divergence, text: { samples: 2 } }]\n`;
  expect(refusalOf(yaml, `${key}=${value}`)).toBe(`--set ${key}=${value}: ${key} is ${Number(value)}, ${expected}`);
});

describe("a path that is no file of settings", () => {
  const at = (name: string) => join(folder, name);
  const make: readonly [name: string, make: (path: string) => void, reason: string][] = [
    ["folder", (path) => mkdirSync(path), "it is a folder, expected a file"],
    ["pipe", (path) => execFileSync("mkfifo", [path]), "it is no regular file but a pipe, socket or device"],
    ["device", (path) => symlinkSync("/dev/zero", path), "it is no regular file but a pipe, socket or device"],
    ["loop", (path) => symlinkSync(path, path), "its links lead back to themselves"],
    ["below-a-file", (path) => writeFileSync(path, ""), ""],
    ["latin-1", (path) => writeFileSync(path, Buffer.from([0x61, 0x3a, 0x20, 0xe9])), "it is not UTF-8 text"],
  ];
  test.skipIf(process.platform === "win32").each(make)("a %s", (name, create, reason) => {
    create(at(name));
    if (name === "below-a-file") {
      expect(refusal(join(at(name), "config.yaml"))).toContain("a part of its path is a file, not a folder");
    } else expect(refusal(at(name))).toBe(`cannot read the configuration ${name}: ${reason}`);
  });

  test("one of a terabyte", () => {
    writeFileSync(at("large"), "");
    truncateSync(at("large"), 2 ** 40);
    expect(refusal(at("large"))).toContain("more than the 2 MB that are read");
  });
});

test("20,000 and 40,000 unknown keys take about twice the time, and are told as ten and a count", () => {
  const seconds = [20_000, 40_000].map((count) => {
    const started = performance.now();
    const keys = Array.from({ length: count }, (_, i) => `unknown_${i}: 1\n`).join("");
    const said = refusalOf(REQUIRED + keys);
    expect(said.split("\n")).toHaveLength(12);
    expect(said).toContain(`the configuration has ${count} errors:`);
    expect(said).toContain("config.yaml:3: unknown key `unknown_0`");
    return performance.now() - started;
  });
  expect(seconds[1]! / seconds[0]!).toBeLessThan(3.5);
});
