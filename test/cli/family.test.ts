import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Workspace } from "./workspace.ts";

/** @file Every kind of regularizer at once, from a configuration to what a run leaves behind, on the shipped model. */

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const REGULARIZERS = [
  { type: "kl_divergence", weight: 0.1, text: "completions" },
  { type: "jensen_shannon", beta: 0.3, weight: 0.2, text: { samples: 8, batch_size: 4 } },
  { type: "entropy", mode: "bonus", temperature: 2, weight: 0.01 },
  { type: "entropy", name: "certainty", mode: "penalty", weight: 0 },
  { type: "consistency", view: "replace", rate: 0.2, weight: 0.05 },
  { type: "consistency", view: "drop", weight: 0.05, symmetric: true },
  { type: "orthogonality", factors: "A", weight: 0.1 },
  { type: "l1", factors: "B" },
  { type: "l2", weight: 2e-3 },
  { type: "elastic_net", l1_ratio: 0.2 },
] as const;

test("all kinds at once train the shipped model, and each one is measured", { timeout: 60_000 }, async () => {
  const workspace = new Workspace();
  const { code, err } = await workspace.train({
    model: at("models/small-world"),
    data: { train: at("data/small-world/task/train.jsonl") },
    train: { steps: 12, batch_size: 8, report_every: 1 },
    optimizer: { learning_rate: 5e-3 },
    regularizers: REGULARIZERS,
  });
  expect([code, err]).toEqual([0, expect.not.stringContaining("klamp:")]);
  const rows = workspace.metrics();
  const names = [
    "kl_divergence",
    "jensen_shannon",
    "entropy",
    "certainty",
    "consistency",
    "consistency_2",
    "orthogonality",
    "l1",
    "l2",
    "elastic_net",
  ];
  const metrics = [
    "kl_divergence",
    "js_divergence",
    "entropy",
    "entropy",
    "consistency",
    "consistency",
    "orthogonality",
    "l1",
    "l2",
    "elastic_net",
  ];
  for (const row of rows) {
    let contributions = 0;
    for (const [i, name] of names.entries()) {
      const { weight = 1e-3 } = REGULARIZERS[i]! as { weight?: number };
      expect(row[`${name}/weight`], name).toBe(weight);
      expect(row[`${name}/${metrics[i]}`], name).toBeTypeOf("number");
      contributions += row[`${name}/contribution`]!;
    }
    expect(row.loss).toBeCloseTo(row.cross_entropy! + contributions, 4);
    expect(row["entropy/value"]).toBeCloseTo(-row["entropy/entropy"]!, 6);
    expect(row["certainty/value"]).toBeCloseTo(row["certainty/entropy"]!, 6);
  }
  const [first, last] = [rows[0]!, rows.at(-1)!];
  // A fresh adapter changes nothing yet.
  expect(first["kl_divergence/kl_divergence"]).toBeCloseTo(0, 6);
  expect(first["jensen_shannon/js_divergence"]).toBeCloseTo(0, 6);
  expect(first["l1/l1"]).toBe(0);
  // But a changed text changes what the model says.
  for (const name of ["consistency", "consistency_2"]) expect(first[`${name}/consistency`]).toBeGreaterThan(1e-4);
  for (const name of names) {
    const norm = last[`${name}/logit_grad_norm`] ?? last[`${name}/matrix_grad_norm`];
    expect(norm, name).toBeGreaterThan(0);
  }
  expect(last.cross_entropy).toBeLessThan(first.cross_entropy!);
  expect(last["l1/l1"]).toBeGreaterThan(0);

  const report = workspace.read("run/report.html");
  for (const words of [
    "JS(model, reference; β 0.3)",
    "−H(model)",
    "KL(view‖model)",
    "JS(model, view)",
    "½‖A, B‖²",
    "on the adapter",
  ])
    expect(report).toContain(words);
});

test("the same configuration and seed give the same run, views included", { timeout: 60_000 }, async () => {
  const runs = await Promise.all(
    [1, 2].map(async () => {
      const workspace = new Workspace();
      const { code } = await workspace.train({
        train: { steps: 3, batch_size: 4 },
        regularizers: [{ type: "consistency", rate: 0.3 }, { type: "orthogonality" }],
      });
      expect(code).toBe(0);
      return workspace.metrics().map(({ tokens_per_second: _, ...row }) => row);
    }),
  );
  expect(runs[0]).toEqual(runs[1]);
});
