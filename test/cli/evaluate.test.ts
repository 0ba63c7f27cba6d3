import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { klamp, klampUntil, Workspace } from "./workspace.ts";

/** @file What is measured while a run trains, and what follows from it. */

const RUN = {
  data: { train: "./train.jsonl", validation: "./test.jsonl" },
  train: { steps: 12, batch_size: 4, save_every: 50 },
  optimizer: { learning_rate: 0.02 },
  regularizers: [{ weight: 0.01, text: "completions" }],
  evaluate: { task: "./test.jsonl", every: 3, items: 3, drift_samples: 4, max_tokens: 4, completions: 2 },
};

const checkpoints = (workspace: Workspace) =>
  readdirSync(workspace.path("run"))
    .filter((name) => name.startsWith("checkpoint-"))
    .sort();

test("every so many steps the run is measured on what it does not train on", async () => {
  const workspace = new Workspace();
  const { code } = await workspace.train(RUN);
  expect(code).toBe(0);
  const rows = workspace.metrics();
  const measured = rows.filter(({ eval_loss }) => eval_loss !== undefined);
  expect(measured.map(({ step }) => step)).toEqual([3, 6, 9, 12]);
  for (const row of measured) {
    for (const name of ["eval_loss", "eval_drift", "eval_kl_divergence"]) expect(row[name]).toBeGreaterThan(0);
  }
  expect(measured.at(-1)!.eval_drift).toBeGreaterThan(measured[0]!.eval_drift!);
  const samples = workspace.read("run/samples.jsonl").trim().split("\n");
  expect(samples).toHaveLength(4 * 2);
  expect(JSON.parse(samples[0]!)).toMatchObject({ step: 3, set: "task", prompt: "Is 8 odd?", expected: " no" });
  expect(workspace.read("run/report.html")).toContain("Validation loss");
  expect(checkpoints(workspace)).toEqual(["checkpoint-12"]);

  // The last evaluation is of the model that is evaluated at the end, on fewer lines.
  await workspace.train({ ...RUN, evaluate: { ...RUN.evaluate, items: 99 }, output: "./all" });
  const all = workspace.metrics("all").at(-1)!;
  const { runs } = workspace.json("all/summary.json") as {
    runs: readonly { validation: { cross_entropy: number }; drift: number }[];
  };
  expect(all.eval_loss).toBeCloseTo(runs[0]!.validation.cross_entropy, 6);
  expect(all.eval_drift).toBeCloseTo(runs[0]!.drift, 6);
});

test("evaluating changes nothing of what is trained", async () => {
  const workspace = new Workspace();
  await workspace.train(RUN);
  await workspace.train({ ...RUN, evaluate: { drift_samples: 0 }, output: "./plain" });
  const matrices = (run: string) => workspace.read(run, "adapter/adapter_model.safetensors");
  expect(matrices("plain")).toBe(matrices("run"));
});

test("a run stops when its validation loss rises, and gives the adapter that was best", async () => {
  const workspace = new Workspace();
  // Of the opposite: what is learned makes it worse.
  workspace.write("test.jsonl", `${JSON.stringify({ prompt: "Is 0 odd?", completion: " Certainly." })}\n`);
  const settings = {
    ...RUN,
    train: { ...RUN.train, steps: 60 },
    evaluate: { every: 3, patience: 2, best: "eval_loss", drift_samples: 0 },
  };
  const { code, err } = await workspace.train(settings);
  expect(code).toBe(0);
  const stopped =
    /stopping after step (\d+) of 60: eval_loss has not been lower than at step (\d+) for 2 evaluations/.exec(err)!;
  const [last, best] = [Number(stopped[1]), Number(stopped[2])];
  expect(last).toBe(best + 6);
  expect(err).toContain(`the adapter is that of step ${best}, the best that was measured`);
  expect(checkpoints(workspace)).toContain(`checkpoint-${best}`);
  const matrices = (from: string) => workspace.read("run", from, "adapter_model.safetensors");
  expect(matrices("adapter")).toBe(matrices(`checkpoint-${best}`));
  expect(matrices("adapter")).not.toBe(matrices(`checkpoint-${last}`));
  expect(workspace.json("run/summary.json")).toMatchObject({ settings: { steps: last, best_step: best } });
  expect((await klamp("train", "--resume", workspace.path("run"))).err).toContain("is finished");
});

test("a run stops when it has drifted too far, and gives the adapter before", async () => {
  const workspace = new Workspace();
  const { err } = await workspace.train({ ...RUN, evaluate: { every: 1, max_drift: 0.05, drift_samples: 8 } });
  const rows = workspace.metrics();
  expect(rows.at(-1)!.eval_drift).toBeGreaterThan(0.05);
  expect(rows.slice(0, -1).every(({ eval_drift }) => eval_drift! <= 0.05)).toBe(true);
  expect(err).toMatch(/stopping after step \d+ of 12: the drift of .* is above evaluate.max_drift, 0.05/);
  const { runs } = workspace.json("run/summary.json") as { runs: readonly { drift: number }[] };
  expect(runs[0]!.drift).toBeLessThanOrEqual(0.05);
});

test("a run that is interrupted while it is measured measures that step when it goes on", async () => {
  const workspace = new Workspace();
  await workspace.train({ ...RUN, output: "./whole" });
  const config = workspace.config({ ...RUN, evaluate: { ...RUN.evaluate, drift_samples: 4 } });
  // At a step that is measured: its line comes after that.
  expect((await klampUntil((err) => /^step +5\//m.test(err), "train", "--config", config)).code).toBe(130);
  expect((await klamp("train", "--resume", workspace.path("run"))).code).toBe(0);
  const numbers = (run: string) => workspace.metrics(run).map(({ tokens_per_second: _, ...row }) => row);
  expect(numbers("run")).toEqual(numbers("whole"));
});

test("what cannot be measured is refused before anything is done", async () => {
  const refused = async (evaluate: object, data: object = RUN.data) => {
    const workspace = new Workspace();
    const { code, err } = await workspace.train({ ...RUN, data, evaluate });
    expect(code).toBe(2);
    return err;
  };
  expect(await refused({ patience: 2 })).toContain(
    "evaluate.patience looks at what is measured while training: set evaluate.every",
  );
  expect(await refused({ every: 2, best: "eval_loss" }, { train: "./train.jsonl" })).toContain(
    "eval_loss is measured on data.validation",
  );
  expect(await refused({ every: 2, max_drift: 1, drift_samples: 0 })).toContain("set evaluate.drift_samples above 0");
});
