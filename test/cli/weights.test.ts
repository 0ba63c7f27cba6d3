import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Json, Workspace } from "./workspace.ts";

/** @file Weights that move, masks and reports, from a configuration to what a run leaves behind. */

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** The quickstart's model and task. */
const SMALL_WORLD = {
  model: at("models/small-world"),
  data: { train: at("data/small-world/task/train.jsonl") },
  optimizer: { learning_rate: 5e-3, schedule: "linear", warmup_steps: 10 },
};

async function trained(changes: Json, ...args: string[]) {
  const workspace = new Workspace();
  const ended = await workspace.train(changes, ...args);
  expect([ended.code, ended.err]).toEqual([0, expect.not.stringContaining("klamp:")]);
  return { ...ended, workspace, rows: workspace.metrics() };
}

test("a budget of 0.1 nats per token is what the shipped model's run ends near", { timeout: 180_000 }, async () => {
  const { workspace, rows, err } = await trained({
    ...SMALL_WORLD,
    train: { steps: 150, batch_size: 16 },
    regularizers: [{ weight: { budget: 0.1 }, text: "completions" }],
  });
  const end = rows.slice(-30);
  const mean = (name: string) => end.reduce((sum, row) => sum + row[name]!, 0) / end.length;
  expect(mean("kl_divergence")).toBeGreaterThan(0.08);
  expect(mean("kl_divergence")).toBeLessThan(0.12);
  expect(mean("cross_entropy")).toBeLessThan(rows[0]!.cross_entropy! / 2);
  // Dual ascent, step by step.
  for (const [i, row] of rows.slice(1).entries())
    expect(row.weight).toBeCloseTo(Math.max(0, rows[i]!.weight! + rows[i]!.kl_divergence! - 0.1), 9);
  expect(rows[0]!.weight).toBe(0.1);
  expect(err.trimEnd().split("\n").at(-1)).toMatch(/ kl 0\.\d{3}×\d/);
  expect(workspace.read("run/report.html")).toContain("weight for a budget of 0.1 nats per token");
  expect(workspace.read("run/report.html")).toContain('id="chart-weight"');
  const { runs } = workspace.json("run/summary.json") as { runs: { weight: number }[] };
  expect(runs[0]!.weight).toBe(Math.max(...rows.map(({ weight }) => weight!)));
});

test.each([
  [
    { schedule: "linear", from: 0.1, to: 0.4, steps: 4 },
    [0.1, 0.2, 0.3, 0.4, 0.4],
    "weight 0.1 to 0.4 over 4 steps (linear)",
  ],
  [{ schedule: "cosine", to: 0.4, steps: 3 }, [0, 0.2, 0.4, 0.4, 0.4], "weight 0 to 0.4 over 3 steps (cosine)"],
  [{ schedule: "warmup", to: 0.4, steps: 4 }, [0.1, 0.2, 0.3, 0.4, 0.4], "weight 0 to 0.4 over 4 steps (warmup)"],
  [
    {
      schedule: "piecewise",
      points: [
        [2, 0.3],
        [3, 0],
        [5, 1],
      ],
    },
    [0.3, 0.3, 0, 0.5, 1],
    "weight 0.3 in step 2, 0 in step 3, 1 in step 5",
  ],
])("a schedule: %j", async (weight, expected, words) => {
  const { rows, workspace } = await trained({
    train: { steps: 5, batch_size: 4 },
    regularizers: [{ weight, text: "completions" }],
  });
  rows.forEach((row, i) => {
    expect(row.weight).toBeCloseTo(expected[i]!, 12);
    expect(row.contribution).toBeCloseTo(row.weight! * row.kl_divergence!, 12);
    expect(row.loss).toBeCloseTo(row.cross_entropy! + row.contribution!, 9);
  });
  expect(workspace.read("run/report.html")).toContain(words);
});

test("an adaptive controller: the weight of each step follows from the step before", async () => {
  const { rows } = await trained({
    train: { steps: 6, batch_size: 4 },
    optimizer: { learning_rate: 1e-2 },
    regularizers: [{ weight: { controller: "adaptive", target: 0.01, initial: 2, horizon: 4 }, text: "completions" }],
  });
  for (const [i, row] of rows.slice(1).entries()) {
    const error = Math.min(0.2, Math.max(-0.2, rows[i]!.kl_divergence! / 0.01 - 1));
    expect(row.weight).toBeCloseTo(rows[i]!.weight! * (1 + error / 4), 9);
  }
  expect(new Set(rows.map(({ weight }) => weight)).size).toBe(6);
});

test("excluded tokens are skipped by their regularizer alone; worst tokens are among the others", async () => {
  const run = (exclude_tokens: number[]) =>
    trained({
      train: { steps: 4, batch_size: 8, report_every: 3, worst_tokens: 5 },
      optimizer: { learning_rate: 1e-2 },
      regularizers: [
        { weight: 0, exclude_tokens, text: "completions" },
        { name: "all", weight: 0.1, text: "completions" },
      ],
    });
  const worst = ({ workspace }: Awaited<ReturnType<typeof run>>) =>
    workspace
      .read("run/worst-tokens.jsonl")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string | number>);
  const everything = await run([]);
  const [first] = worst(everything);
  expect(worst(everything).every(({ step }) => step === 4)).toBe(true);
  expect(worst(everything).map(({ regularizer }) => regularizer)).toEqual([
    ...new Array(5).fill("kl_divergence"),
    ...new Array(5).fill("all"),
  ]);
  expect(first).toMatchObject({ id: expect.any(Number), source: expect.stringMatching(/^train\.jsonl:\d+$/) });
  expect(first!.before).toMatch(/^(<[^>]+>)*Is \d odd\?/);
  expect(["yes", "no"].join().includes(String(first!.token).trim()) || String(first!.token).startsWith("<")).toBe(true);

  const fewer = await run([Number(first!.id)]);
  expect(fewer.rows[3]!["kl_divergence/kl_divergence"]).toBeLessThan(
    everything.rows[3]!["kl_divergence/kl_divergence"]!,
  );
  expect(fewer.rows[3]!["all/kl_divergence"]).toBe(everything.rows[3]!["all/kl_divergence"]);
  expect(worst(fewer).filter(({ regularizer, id }) => regularizer === "kl_divergence" && id === first!.id)).toEqual([]);
});

test("report_every: 0 measures nothing that costs, and trains the same", async () => {
  const run = (report_every: number) =>
    trained({
      train: { steps: 3, batch_size: 4, report_every },
      regularizers: [{ weight: 0.3, text: "completions" }],
    });
  const [none, each] = [await run(0), await run(1)];
  expect(Object.keys(none.rows[1]!)).not.toContain("logit_grad_norm");
  expect(Object.keys(each.rows[1]!)).toContain("logit_grad_norm");
  for (const [i, { loss }] of none.rows.entries()) expect(each.rows[i]!.loss).toBeCloseTo(loss!, 5);
});
