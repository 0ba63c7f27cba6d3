import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FIXTURE, type Json, jsonLines, klamp, klampUntil, startKlamp, Workspace } from "./workspace.ts";

/** @file A run that ended early goes on, and ends as if it never had. */

/** A run with all that has a state: weights that move, a reference that moves, samples drawn anew, dropout. */
const RUN = {
  train: { steps: 14, batch_size: 3, save_every: 4 },
  lora: { rank: 2, dropout: 0.2 },
  optimizer: { warmup_steps: 3, schedule: "cosine", learning_rate: 1e-2 },
  regularizers: [
    { weight: { controller: "adaptive", target: 0.01 }, text: { samples: 6, batch_size: 2, refresh_every: 5 } },
    { name: "budget", weight: { budget: 0.02 }, text: "completions" },
    { name: "synced", weight: 0.1, reference: { synced: { every: 3 } }, text: "completions" },
    { type: "l2", weight: 1e-3 },
  ],
  evaluate: { task: "./test.jsonl", drift_samples: 4, max_tokens: 4 },
};

/** What a run leaves, but for times. */
function outcome(workspace: Workspace, run = "run") {
  const rows = workspace.metrics(run).map(({ tokens_per_second: _, ...row }) => row);
  const { base, runs, conclusion } = workspace.json(run, "summary.json");
  const adapter = workspace.read(run, "adapter/adapter_model.safetensors");
  return { rows, base, runs, conclusion, adapter, anchors: workspace.read(run, "anchors.jsonl") };
}

/** Whether a step of at least this number was shown; not every one is. */
const interruptedAt = (step: number) => (err: string) =>
  [...err.matchAll(/^step +(\d+)\//gm)].some(([, shown]) => Number(shown) >= step);

test("interrupted again and again, a run ends as the one that never was", async () => {
  const workspace = new Workspace();
  const config = workspace.config(RUN);
  expect((await klamp("train", "--config", config, "--set", `output=${workspace.path("whole")}`)).code).toBe(0);
  const whole = outcome(workspace, "whole");

  expect((await klampUntil(interruptedAt(3), "train", "--config", config)).code).toBe(130);
  for (const step of [5, 8]) {
    const { code, err } = await klampUntil(interruptedAt(step), "train", "--resume", workspace.path("run"));
    expect(code).toBe(130);
    expect(err).toMatch(/^going on after step \d+$/m);
  }
  const { code, out } = await klamp("train", "--resume", workspace.path("run"));
  expect(code).toBe(0);
  expect(out).toContain("run/report.html");
  expect(outcome(workspace)).toEqual(whole);
});

test.each([
  ["before its first checkpoint", 0, /^no step was saved: going on from the start$/m],
  ["after some", 4, /^going on after step \d+$/m],
])("killed %s, a run goes on", async (_, save_every, says) => {
  const workspace = new Workspace();
  // So many steps that the kill comes before the last of them.
  const config = workspace.config({ ...RUN, train: { ...RUN.train, steps: 120, save_every } });
  await klamp("train", "--config", config, "--set", `output=${workspace.path("whole")}`);
  const running = startKlamp("train", "--config", config);
  await running.says(/^step +(1[3-9]|[2-9]\d)\//m);
  running.signal("SIGKILL");
  await running.ended;
  // A line that was not written to its end.
  writeFileSync(workspace.path("run/metrics.jsonl"), '{"step":', { flag: "a" });

  const { code, err } = await klamp("train", "--config", config);
  expect(code).toBe(2);
  expect(err).toContain(`klamp train --resume ${workspace.path("run")}`);
  const resumed = await klamp("train", "--resume", workspace.path("run"));
  expect(resumed.err).toMatch(says);
  expect(resumed.code).toBe(0);
  expect(outcome(workspace)).toEqual(outcome(workspace, "whole"));
});

/** A run that was interrupted after step 5 of 14. */
async function interrupted(changes: Json = {}) {
  const workspace = new Workspace();
  const run = { train: { ...RUN.train, save_every: 2 }, evaluate: { drift_samples: 0 }, ...changes };
  expect((await klampUntil(interruptedAt(5), "train", "--config", workspace.config(run))).code).toBe(130);
  const resume = (...args: string[]) => klamp("train", "--resume", workspace.path("run"), ...args);
  return { workspace, resume };
}

test("a finished run says so, and takes more steps where they change nothing of those taken", async () => {
  const { workspace, resume } = await interrupted();
  expect((await resume()).code).toBe(0);
  const before = workspace.everything();
  const { code, err } = await resume();
  expect([code, err]).toEqual([0, expect.stringContaining("is finished; for more steps")]);
  expect(workspace.everything()).toEqual(before);
  expect((await resume("--set", "train.steps=20")).code).toBe(0);
  expect(workspace.metrics()).toHaveLength(20);
  // Of its own now.
  expect((await resume()).err).toContain("is finished");
  const fewer = await resume("--set", "train.steps=3");
  expect([fewer.code, fewer.err]).toEqual([2, expect.stringContaining("train.steps was 20 and is 3")]);
});

test("what would make it another run is refused, all of it at once", async () => {
  const { workspace, resume } = await interrupted({ optimizer: { schedule: "linear" } });
  const before = workspace.everything();
  const longer = await resume("--set", "train.steps=20");
  expect(longer.err).toContain(
    "train.steps was 14 and is 20, on which the learning rates of steps taken depend (schedule linear)",
  );
  workspace.write("train.jsonl", jsonLines([{ prompt: "a", completion: " b" }]));
  const { code, err } = await resume("--set", "lora.rank=3", "--set", "train.seed=5");
  expect([longer.code, code]).toEqual([2, 2]);
  for (const what of [
    "lora.rank was 8 and is 3",
    "train.seed was 1 and is 5",
    "data.train (train.jsonl) has changed",
  ]) {
    expect(err).toContain(what);
  }
  before.set(workspace.path("train.jsonl"), workspace.read("train.jsonl"));
  expect(workspace.everything()).toEqual(before);
});

test("a changed model, tokenizer or start is refused by name", async () => {
  const workspace = new Workspace();
  workspace.copy("model");
  workspace.copy("adapter-init", "adapter");
  const run = { model: "./model", train: { ...RUN.train, adapter: "./adapter" }, evaluate: { drift_samples: 0 } };
  expect((await klampUntil(interruptedAt(3), "train", "--config", workspace.config(run))).code).toBe(130);
  const resume = () => klamp("train", "--resume", workspace.path("run"));

  const tokenizer = workspace.read("model/tokenizer_config.json");
  workspace.write("model/tokenizer_config.json", `${tokenizer}\n`);
  expect((await resume()).err).toContain("another one: tokenizer has changed.");
  workspace.write("model/tokenizer_config.json", tokenizer);
  const config = workspace.json("model/config.json");
  workspace.write("model/config.json", { ...config, rms_norm_eps: 2e-5 });
  expect((await resume()).err).toContain("another one: model has changed.");
  workspace.write("model/config.json", config);
  const matrices = workspace.path("adapter/adapter_model.safetensors");
  const bytes = readFileSync(matrices);
  bytes[bytes.length - 4]! ^= 1;
  writeFileSync(matrices, bytes);
  expect((await resume()).err).toContain("train.adapter has changed");
});

test("what changes nothing may change: where it lies, what is measured and kept", async () => {
  const { workspace, resume } = await interrupted();
  const sets = ["train.keep=1", "train.save_every=3", "evaluate.task=./test.jsonl", "engine.threads=1"];
  workspace.write("test.jsonl", jsonLines([{ prompt: "Is 1 odd?", completion: " yes" }]));
  const args = sets.map((set) => set.replace("./", `${workspace.folder}/`)).flatMap((set) => ["--set", set]);
  const { code, err } = await resume(...args);
  expect(code).toBe(0);
  if (!err.includes("on 1 threads, begun on 1"))
    expect(err).toMatch(/going on on 1 threads, begun on \d+: the result is no longer bit-identical|^going on after/m);
  expect(
    [...workspace.everything(workspace.path("run")).keys()].filter((path) => /checkpoint-\d+$/.test(path)),
  ).toEqual([workspace.path("run/checkpoint-14")]);
});

test("a damaged checkpoint is told, and the one before it taken", async () => {
  const { workspace, resume } = await interrupted();
  truncateSync(workspace.path("run/checkpoint-5/state.safetensors"), 100);
  const { code, err } = await resume();
  expect(err).toContain("checkpoint-5 is damaged: state.safetensors was changed; looking for the one before it");
  expect(err).toContain("going on after step 4");
  expect(code).toBe(0);
  expect(workspace.metrics().map(({ step }) => step)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
});

test("folders that hold no run are refused", async () => {
  const workspace = new Workspace();
  const { code, err } = await klamp("train", "--resume", workspace.path("nowhere"));
  expect([code, err]).toEqual([
    2,
    `klamp: the run folder ${workspace.path("nowhere")} does not exist; give the \`output\` of a run that was begun.\n`,
  ]);
  expect((await klamp("train", "--resume", FIXTURE)).err).toContain("holds no run: run.json or config.yaml is missing");
});
