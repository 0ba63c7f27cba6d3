import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Ended, FIXTURE, klampUntil, Workspace } from "./workspace.ts";

/** @file The quickstart's course, with the fixture's model in place of the shipped one: quick, and right about nothing. */

const RUNS = ["without KL", "with KL", "with anchor"];

function quickstart(workspace: Workspace, isEnough: (err: string) => boolean = () => false): Promise<Ended> {
  const sets = [
    `model=${join(FIXTURE, "model")}`,
    `evaluate.task=${workspace.path("test.jsonl")}`,
    `evaluate.skills={ odd: ${workspace.path("train.jsonl")} }`,
    "evaluate.drift_samples=4",
    "train.steps=3",
    "regularizers.2.text.samples=8",
  ];
  const output = workspace.path("quick");
  return klampUntil(
    isEnough,
    "quickstart",
    "--output",
    output,
    "--seed",
    "3",
    ...sets.flatMap((set) => ["--set", set]),
  );
}

interface SummaryFile {
  readonly seed: number;
  readonly base: Row;
  readonly runs: readonly (Row & { readonly name: string; readonly weight: number; readonly text: string })[];
  readonly conclusion: string;
}

interface Row {
  readonly task: number;
  readonly skills: Readonly<Record<string, number>>;
  readonly drift: number;
}

test("three runs on one base, a table, a summary and a report", async () => {
  const workspace = new Workspace();
  const { code, out, err } = await quickstart(workspace);
  expect(code).toBe(0);
  expect(err.match(/^(without KL|with KL|with anchor): .*$/gm)).toHaveLength(3);
  expect(err.match(/asking the base/g)).toHaveLength(1);
  expect(err.match(/^step 3\/3 /gm)).toHaveLength(3);

  const { base, runs, seed, conclusion } = workspace.json("quick/summary.json") as unknown as SummaryFile;
  expect(seed).toBe(3);
  expect(Object.keys(base.skills)).toEqual(["odd"]);
  expect(runs.map(({ name }) => name)).toEqual(RUNS);
  expect(runs.map(({ text }) => text)).toEqual(["completions", "completions", "anchor"]);
  expect(runs[0]!.weight).toBe(0);
  for (const { weight } of runs.slice(1)) expect(weight).toBeGreaterThan(0);
  for (const part of [...RUNS, "odd", "new task", "drift", conclusion]) expect(out).toContain(part);

  for (const name of RUNS) {
    const folder = join("quick", name.replaceAll(" ", "-"));
    expect(workspace.metrics(folder)).toHaveLength(3);
    for (const file of ["config.yaml", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"]) {
      expect(existsSync(workspace.path(folder, file)), file).toBe(true);
    }
  }
  // All start from the same adapter, on the same batch.
  const first = RUNS.map((name) => workspace.metrics(join("quick", name.replaceAll(" ", "-")))[0]!.cross_entropy);
  expect(new Set(first).size).toBe(1);
  expect(workspace.read("quick/report.html")).toContain("</html>");
});

test("interrupted in its second run, it shows the first", async () => {
  const workspace = new Workspace();
  const { code, out, err } = await quickstart(workspace, (err) => /with KL: [\s\S]*step 1\/3/.test(err));
  expect(code).toBe(130);
  expect(err).toContain(`interrupted; completed steps are saved in ${workspace.path("quick")}\n`);
  const { runs } = workspace.json("quick/summary.json") as unknown as SummaryFile;
  expect(runs.map(({ name }) => name)).toEqual(["without KL"]);
  expect(out).toContain("without KL");
  expect(workspace.metrics("quick/with-KL")).toHaveLength(1);
  expect(existsSync(workspace.path("quick/with-anchor"))).toBe(false);
});

test("interrupted before anything is trained, it writes nothing", async () => {
  const workspace = new Workspace();
  const { code, err } = await quickstart(workspace, (err) => err.includes("asking the base"));
  expect(code).toBe(130);
  expect(err).toContain("interrupted; nothing was written\n");
  expect(existsSync(workspace.path("quick"))).toBe(false);
});
