import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/file.ts";
import { klamp, Workspace } from "./workspace.ts";

test("help shows every command, topics, examples, and what exit codes mean", async () => {
  const { code, out, err } = await klamp("--help");
  expect([code, err]).toEqual([0, ""]);
  for (const part of [
    "quickstart",
    "train",
    "klamp help config",
    "klamp help metrics",
    "klamp train --config config.yaml",
    "Exit codes: 0 done; 2 ",
  ]) {
    expect(out).toContain(part);
  }
  expect(await klamp("help")).toEqual({ code, out, err });
});

const HELPS = [
  "--help",
  "train --help",
  "quickstart --help",
  "reference --help",
  "reference build --help",
  "reference inspect --help",
  "help config",
  "help metrics",
];

test.each(HELPS)("klamp %s fits 100 columns", async (command) => {
  const { code, out, err } = await klamp(...command.split(" "));
  expect([code, err]).toEqual([0, ""]);
  for (const line of out.split("\n")) expect(line.length, line).toBeLessThanOrEqual(100);
  expect(out).not.toMatch(/ \n/);
});

test("train --help is short, and its configuration can be copied as it stands", async () => {
  const { out } = await klamp("train", "--help");
  expect(out.split("\n").length).toBeLessThan(45);
  expect(out).toContain('{"prompt": "…", "completion": "…"}');
  expect(await klamp("help", "train")).toMatchObject({ code: 0, out });
  const [, yaml] = /its default:\n\n([\s\S]*?)\n\nData is/.exec(out)!;
  const workspace = new Workspace();
  expect(loadConfig(workspace.write("config.yaml", yaml)).regularizers).toHaveLength(1);
});

test("the configuration that help config shows can be copied as it stands", async () => {
  const { out } = await klamp("help", "config");
  const workspace = new Workspace();
  const config = loadConfig(workspace.write("config.yaml", out));
  expect(config.model).toBe(workspace.path("models/base"));
  expect(Object.keys(config)).toEqual(Object.keys(parse(out)));
});

test("help metrics tells every metric that a run writes", async () => {
  const workspace = new Workspace();
  const l2 = { type: "l2", weight: 0.001 };
  const js = { type: "jensen_shannon", weight: 0.1, clip: 5 };
  const kl = { weight: 0.1, clip: 5, text: "completions" };
  const entropy = { type: "entropy", weight: 0.1 };
  const consistency = { type: "consistency", weight: 0.1, clip: 5 };
  const orthogonality = { type: "orthogonality", weight: 0.1 };
  const regularizers = [
    kl,
    js,
    entropy,
    consistency,
    orthogonality,
    l2,
    { ...l2, type: "l1" },
    { ...l2, type: "elastic_net" },
  ];
  expect((await workspace.train({ regularizers })).code).toBe(0);
  const names = new Set(workspace.metrics().flatMap((row) => Object.keys(row).map((name) => name.split("/").at(-1)!)));
  names.delete("step");
  expect(names.size).toBeGreaterThan(40);
  const { out } = await klamp("help", "metrics");
  const told = new Set([...out.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name));
  expect([...names].filter((name) => !told.has(name))).toEqual([]);
});

test("each example of the help is a command line that klamp takes", async () => {
  for (const command of ["--help", "train --help", "quickstart --help"]) {
    const { out } = await klamp(...command.split(" "));
    const examples = out.match(/^ {2}klamp .*$/gm)!.map((line) => line.trim().replace(/ {2,}.*/, ""));
    expect(examples.length).toBeGreaterThan(1);
    for (const example of examples) {
      const { code, err } = await klamp(...example.split(" ").slice(1), "--help");
      expect([code, err], example).toEqual([0, ""]);
    }
  }
});

test("quickstart --help says what it compares", async () => {
  const { code, out } = await klamp("quickstart", "--help");
  expect(code).toBe(0);
  expect(out).toContain("klamp quickstart --seed 2");
  expect(out).toMatch(/without KL[\s\S]*anchor of samples/);
});

test("the version", async () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  expect(await klamp("--version")).toEqual({ code: 0, out: `${version}\n`, err: "" });
});

const HINT = "klamp --help shows the commands, klamp COMMAND --help how to use one.\n";

test.each([
  [["nonsense"], `klamp: unknown command 'nonsense'\n${HINT}`],
  [["tran"], `klamp: unknown command 'tran'\n(Did you mean train?)\n${HINT}`],
  [["train", "--confg", "config.yaml"], `klamp: unknown option '--confg'\n(Did you mean --config?)\n${HINT}`],
  [["train", "--config"], `klamp: option '--config <file>' argument missing\n${HINT}`],
  [
    ["train"],
    "klamp: train needs a configuration, as in `klamp train --config config.yaml`; `klamp train --help` shows one.\n",
  ],
  [
    ["train", "--config", "/nowhere/config.yaml"],
    "klamp: cannot read the configuration /nowhere/config.yaml: there is no such file\n",
  ],
  [
    ["help", "nothing"],
    "klamp: no help on nothing: give config, metrics, quickstart, train, data, generate, merge, reference\n",
  ],
  [["train", "config.yaml"], /^klamp: too many arguments for 'train'. Expected 0 arguments but got 1./],
  [["quickstart", "--seed", "many"], /^klamp: --set train.seed=many: train.seed is "many", expected a whole number/],
  [[], /^Usage: klamp/],
])("klamp %j is answered on standard error, with exit code 2", async (args, expected) => {
  const { code, out, err } = await klamp(...args);
  if (typeof expected === "string") expect(err).toBe(expected);
  else expect(err).toMatch(expected);
  expect([code, out]).toEqual([2, ""]);
});
