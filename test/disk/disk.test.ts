import { readdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../src/common/random.ts";
import { klamp, Workspace } from "../cli/workspace.ts";
import { type Ended, goOn, matricesOf, type Operation, watchedTrain } from "./runs.ts";

/** @file What a run's files are worth when the power, the process or the disk fails at any moment. */

const RUN = {
  train: { steps: 5, batch_size: 2, save_every: 2, keep: 1 },
  lora: { rank: 1 },
  regularizers: [{ weight: { budget: 0.02 }, text: { samples: 4, batch_size: 2 } }],
  evaluate: { drift_samples: 0 },
};

let whole: Ended;
let matrices: string;
beforeAll(async () => {
  const workspace = new Workspace({ keep: true });
  whole = await watchedTrain(workspace.path("run"), ["--config", workspace.config(RUN)]);
  expect([whole.code, whole.err]).toEqual([0, expect.any(String)]);
  matrices = matricesOf(workspace.path("run"));
  rmSync(workspace.folder, { recursive: true });
}, 60_000);

describe("power", () => {
  /** Where each operation of a kind stands among all. */
  const places = (kind: string, is: (path: string) => boolean) =>
    whole.operations.flatMap((each, i) => (each.kind === kind && is(each.path) ? [i] : []));
  const last = (all: readonly Operation[], kind: string, path: string) =>
    all.findLastIndex((each) => each.kind === kind && each.path === path);

  test("what gets its name is on the disk before, and its name is when the next step counts on it", () => {
    const renames = whole.operations.flatMap((each, i) => (each.kind === "rename" ? [{ ...each, i }] : []));
    expect(renames.length).toBeGreaterThan(15);
    for (const { path, i } of renames) {
      if (path.endsWith(".old.tmp")) continue;
      const [before, after] = [whole.operations.slice(0, i), whole.operations.slice(i + 1)];
      // The file, or every file of the folder.
      const written = new Set(
        before
          .filter((each) => each.kind === "write" || each.kind === "copy")
          .map((each) => each.path)
          .filter((each) => each === `${path}.tmp` || each.startsWith(`${path}.tmp/`)),
      );
      for (const file of written) {
        const final = file.replace(/(?<=\.tmp\/.*)\.tmp$/, "");
        const synced = Math.max(last(before, "fsync", file), last(before, "fsync", final));
        expect(synced, `${file} is written before ${path} gets its name`).toBeGreaterThan(last(before, "write", file));
      }
      // What lies outside the folder that is watched is not seen.
      if (dirname(path).includes("/run")) {
        expect(after[0], `the name ${path} is written next`).toEqual({ kind: "fsync", path: dirname(path) });
      }
    }
  });

  test("lines of steps are on the disk before a checkpoint counts on them, and it before an older one goes", () => {
    const checkpoints = places("rename", (path) => /checkpoint-\d+$/.test(path));
    const removals = places("rename", (path) => /checkpoint-\d+\.old\.tmp$/.test(path));
    expect([checkpoints.length, removals.length]).toEqual([3, 2]);
    for (const [n, at] of checkpoints.entries()) {
      const before = whole.operations.slice(0, at);
      const lines = whole.operations[places("write", (path) => path.endsWith("metrics.jsonl"))[0]!]!.path;
      expect(last(before, "fsync", lines)).toBeGreaterThan(last(before, "write", lines));
      const older = removals.find((each) => each > at);
      if (n > 0) expect(whole.operations[at + 1]).toMatchObject({ kind: "fsync" });
      if (older !== undefined) expect(older).toBeGreaterThan(at + 1);
    }
  });
});

describe("kills", () => {
  const random = createRandom(Date.now());
  test.each([1, 2, 3, 4, 5])("a run that is killed in the middle of any operation on a file goes on (%d)", async () => {
    const workspace = new Workspace();
    const [run, config] = [workspace.path("run"), workspace.config(RUN)];
    const killAt = 1 + Math.floor(random() * whole.operations.length);
    const { kind, path } = whole.operations[killAt - 1]!;
    expect((await watchedTrain(run, ["--config", config], { killAt })).code).toBeNull();
    const { code, err } = await klamp("train", ...goOn(run, config));
    expect([code, err], `killed at operation ${killAt}, ${kind} ${path}`).toEqual([0, expect.any(String)]);
    expect(matricesOf(run)).toBe(matrices);
    expect(workspace.metrics().map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    expect(readdirSync(run, { recursive: true }).filter((name) => String(name).endsWith(".tmp"))).toEqual([]);
  });
});

describe("faults", () => {
  test.each([
    ["ENOSPC", "the disk is full; free some space"],
    ["EROFS", "the disk is read-only"],
    ["EACCES", "permission is denied"],
    ["EIO", "the disk reports an error"],
  ])("%s at any operation is one sentence, and the run goes on from what is safe", async (code, says) => {
    const random = createRandom(says.length + Date.now());
    const workspace = new Workspace();
    const [run, config] = [workspace.path("run"), workspace.config(RUN)];
    const failAt = 1 + Math.floor(random() * whole.operations.length);
    const { kind, path } = whole.operations[failAt - 1]!;
    const ended = await watchedTrain(run, ["--config", config], { failAt, code });
    const where = `refused at operation ${failAt}, ${kind} ${path}`;
    // Taking temporary files away may fail without a word, at the end of all.
    if (ended.code !== 0) {
      expect([ended.code, ended.err], where).toEqual([2, expect.stringMatching(/^klamp: .*cannot .*$/m)]);
      expect(ended.err, where).toContain(says);
    }
    expect(ended.err, where).not.toMatch(/^\s+at /m);
    const resumed = await klamp("train", ...goOn(run, config));
    expect([resumed.code, resumed.err], where).toEqual([0, expect.any(String)]);
    if (ended.code !== 0) expect(matricesOf(run), where).toBe(matrices);
  });
});
