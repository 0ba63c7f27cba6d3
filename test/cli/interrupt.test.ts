import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/file.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { FIXTURE, jsonLines, KLAMP, klamp, klampUntil, startKlamp, Workspace } from "./workspace.ts";

/** So many steps that no test sees the last of them. */
const ENDLESS = {
  train: { steps: 1_000_000, batch_size: 4 },
  regularizers: [{ type: "kl_divergence", weight: 0.1, text: "completions" }],
  evaluate: { task: "./test.jsonl", drift_samples: 4 },
};

/** The names of what a run folder holds. */
function namesIn(workspace: Workspace): string[] {
  const folder = workspace.path("run");
  return [...workspace.everything(folder).keys()].map((path) => path.slice(folder.length + 1)).sort();
}

/** The files of the checkpoint after a step. */
const checkpoint = (step: number | string) => [
  `checkpoint-${step}`,
  ...["adapter_config.json", "adapter_model.safetensors", "checkpoint.json", "state.safetensors"].map(
    (name) => `checkpoint-${step}/${name}`,
  ),
];

const ADAPTER = [
  "adapter",
  ...["README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"].map(
    (name) => `adapter/${name}`,
  ),
];

test("Ctrl-C finishes the step and saves what there is", async () => {
  const workspace = new Workspace();
  const running = startKlamp("train", "--config", workspace.config(ENDLESS));
  await running.says(/^step /m);
  running.signal("SIGINT");
  const { code, out, err } = await running.ended;
  expect([code, out]).toEqual([130, ""]);
  expect(err).toContain("\nfinishing the current step and saving; Ctrl-C again exits at once\n");

  const rows = workspace.metrics();
  const [, steps] =
    /interrupted after step (\d+) of 1000000; the adapter is in .*, a report in .*\n.*--resume.*\n$/.exec(err)!;
  expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: Number(steps) }, (_, i) => i + 1));
  const names = namesIn(workspace).filter((name) => !name.startsWith("checkpoint-") || name.includes(`-${steps}`));
  const files = ["config.yaml", "metrics.jsonl", "report.html", "run.json", "summary.json"];
  expect(names).toEqual([...ADAPTER, ...checkpoint(steps!), ...files]);
  expect(workspace.json("run/summary.json")).toMatchObject({
    conclusion: `Trained was interrupted after step ${steps} of 1000000.`,
    completed: null,
    runs: [],
  });
  expect(loadConfig(workspace.path("run/config.yaml")).train.steps).toBe(1_000_000);
  const model = await LocalModel.open(join(FIXTURE, "model"));
  await (await model.trainingClient({ adapter: workspace.path("run/adapter") })).close();
  await model.close();
});

test("a second Ctrl-C ends at once, within the step", async () => {
  const workspace = new Workspace();
  // A step that takes a second or so.
  const long = Array.from({ length: 64 }, () => ({ tokens: Array.from({ length: 256 }, (_, i) => 5 + i) }));
  workspace.write("train.jsonl", jsonLines(long));
  const running = startKlamp("train", "--config", workspace.config({ train: { steps: 100, batch_size: 64 } }));
  await running.says(/^training on 64 examples/m);
  running.signal("SIGINT");
  await setTimeout(50);
  running.signal("SIGINT");
  const { code, err } = await running.ended;
  expect(code).toBe(130);
  expect(err).toContain("Ctrl-C again exits at once");
  expect(err).not.toContain("interrupted after step");
  expect([...workspace.everything().keys()]).not.toContain(workspace.path("run", "adapter"));
});

test("a run that is killed leaves only whole lines, and its folder is not written over", async () => {
  const workspace = new Workspace();
  const config = workspace.config(ENDLESS);
  const running = startKlamp("train", "--config", config);
  await running.says(/^step /m);
  running.signal("SIGKILL");
  expect((await running.ended).code).toBeNull();
  expect(workspace.metrics().map(({ step }) => step)[0]).toBe(1);
  expect(namesIn(workspace).filter((name) => !name.startsWith("checkpoint-"))).toEqual([
    "config.yaml",
    "metrics.jsonl",
    "run.json",
    "run.lock",
  ]);
  expect(loadConfig(workspace.path("run/config.yaml")).output).toBe(workspace.path("run"));

  const before = workspace.everything();
  const { code, err } = await klamp("train", "--config", config);
  expect(code).toBe(2);
  expect(err).toMatch(
    /run holds a run that ended early, .*: go on with it by `klamp train --resume .*`, or choose another output/,
  );
  expect(workspace.everything()).toEqual(before);
});

test.each([/asking the base/, /training on 8 examples/])("interrupted at %s, a run writes nothing", async (moment) => {
  const workspace = new Workspace();
  const config = workspace.config(ENDLESS);
  const before = workspace.everything();
  const { code, out, err } = await klampUntil((err) => moment.test(err), "train", "--config", config);
  expect([code, out]).toEqual([130, ""]);
  expect(err).toMatch(/^interrupted; nothing was written\n$/m);
  expect(workspace.everything()).toEqual(before);
});

test("a reader who leaves, as head does, does not end a run", async () => {
  const workspace = new Workspace();
  const config = workspace.config({ train: { steps: 40, batch_size: 4 } });
  const command = [...KLAMP, "train", "--config", config].map((part) => `'${part}'`).join(" ");
  const { stdout } = spawnSync("sh", ["-c", `${command} 2>&1 | head -1`], { encoding: "utf8" });
  expect(stdout).toBe("training on 8 examples: 40 steps of 4\n");
  expect(workspace.metrics()).toHaveLength(40);
  const files = ["config.yaml", "metrics.jsonl", "report.html", "run.json", "summary.json"];
  expect(namesIn(workspace)).toEqual([...ADAPTER, ...checkpoint(40), ...files]);
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s saves and ends in time, in whatever phase",
  async (signal) => {
    const workspace = new Workspace();
    const shipped = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
    const config = workspace.config({
      model: shipped("models/small-world"),
      data: { train: shipped("data/small-world/task/train.jsonl") },
      train: { steps: 1, batch_size: 2 },
      regularizers: [{ text: { samples: 3000 } }],
      // Long phases before and after one step: samples are drawn, and drift is measured.
      evaluate: { drift_samples: 2000, max_tokens: 64 },
    });
    for (const phase of signal === "SIGINT"
      ? [/^drawing/m, /^measuring the base/m, /^measuring the trained/m]
      : [/^drawing/m]) {
      const changes = phase.source.includes("drawing") ? [] : ["--set", "regularizers=[]"];
      const output = ["--set", `output=${workspace.path(phase.source.replace(/\W/g, ""))}`];
      const running = startKlamp("train", "--config", config, ...changes, ...output);
      await running.says(phase);
      const asked = performance.now();
      running.signal(signal);
      const { code, err } = await running.ended;
      expect(performance.now() - asked).toBeLessThan(5000);
      expect([code, err]).toEqual([130, expect.stringContaining("finishing the current step and saving")]);
      expect(err).toMatch(phase.source.includes("trained") ? /interrupted after step 1 of 1/ : /nothing was written/);
    }
  },
  120_000,
);

test.skipIf(!existsSync("/dev/full"))("a log that cannot be written ends no run", async () => {
  const workspace = new Workspace();
  const config = workspace.config({ train: { steps: 3, batch_size: 4 } });
  const command = [...KLAMP, "train", "--config", config].map((part) => `'${part}'`).join(" ");
  for (const [where, output] of [
    [">/dev/full 2>&1", "full"],
    [">&- 2>&-", "closed"],
  ]) {
    const { status } = spawnSync("sh", ["-c", `${command} --set output='${workspace.path(output!)}' ${where}`]);
    expect([where, status]).toEqual([where, 0]);
    expect(workspace.metrics(output)).toHaveLength(3);
    expect(workspace.json(output!, "summary.json")).toHaveProperty("conclusion");
  }
  // What is asked for on standard output is lost then.
  const data = [...KLAMP, "data", "--config", config, "--json"].map((part) => `'${part}'`).join(" ");
  const { status, stderr } = spawnSync("sh", ["-c", `${data} >/dev/full`], { encoding: "utf8" });
  expect([status, stderr]).toEqual([2, expect.stringContaining("could not be written to standard output")]);
});
