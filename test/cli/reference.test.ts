import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/file.ts";
import { FIXTURE, jsonLines, klamp, klampUntil, startKlamp, Workspace } from "./workspace.ts";

const kl = (more: object) => ({ type: "kl_divergence", weight: 0.5, text: "completions", ...more });
const STORED = { regularizers: [kl({ reference: { store: "./store", k: 16 } })] };

function build(workspace: Workspace, changes: object = STORED, ...args: string[]) {
  return klamp("reference", "build", "--config", workspace.config({ ...changes }), ...args);
}

/** The files of a folder with their bytes. */
function bytesOf(folder: string): Map<string, string> {
  return new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), "latin1")]),
  );
}

describe.each([
  ["top-k", { store: "./store", k: 319 }],
  ["hidden", { store: "./store", kind: "hidden" }],
])("training with a store of kind %s", (_, reference) => {
  test("is the training with the base itself, for completions, files of texts and samples", async () => {
    const workspace = new Workspace();
    const anchors = (reference: unknown) => ({
      train: { steps: 3, batch_size: 4 },
      optimizer: { learning_rate: 0.02 },
      regularizers: [
        kl({
          text: ["completions", { file: "./test.jsonl", batch_size: 2 }, { samples: 6, batch_size: 2, max_tokens: 5 }],
          reference,
        }),
      ],
    });
    await workspace.train({ ...anchors("base"), output: "./plain" });
    const { code, out, err } = await build(workspace, anchors(reference));
    expect([code, err]).toEqual([0, expect.stringMatching(/^text 1?\d\/1?\d {2}[\d,]+ rows\/s/m)]);
    expect(out).toMatch(/store: 1\d texts added, \d+ rows; [\d.]+ kB in all\n$/);
    expect((await workspace.train(anchors(reference))).code).toBe(0);
    const [stored, plain] = [workspace.metrics(), workspace.metrics("plain")];
    for (const [i, { kl_divergence, loss, grad_norm }] of stored.entries()) {
      // What float16 leaves: far below what training moves.
      expect(Math.abs(kl_divergence! - plain[i]!.kl_divergence!)).toBeLessThan(2e-5 + 0.002 * kl_divergence!);
      expect(loss!).toBeCloseTo(plain[i]!.loss!, 3);
      expect(grad_norm!).toBeCloseTo(plain[i]!.grad_norm!, 2);
    }
    expect(plain.at(-1)!.kl_divergence!).toBeGreaterThan(1e-3);
  });
});

test.each([
  ["top-k", { k: 319 }],
  ["hidden", { kind: "hidden" }],
])("a store of kind %s of the starting adapter trains as that adapter itself does", async (_, kind) => {
  const workspace = new Workspace();
  const settings = (reference: unknown) => ({
    train: { steps: 3, batch_size: 4, adapter: join(FIXTURE, "adapter-final-rm") },
    optimizer: { learning_rate: 0.02 },
    regularizers: [kl({ reference })],
  });
  const reference = { store: "./store", of: "start", ...kind };
  const { code, err } = await build(workspace, settings(reference));
  expect([code, err]).toEqual([0, expect.stringContaining("with the starting adapter's distributions")]);
  await workspace.train({ ...settings("start"), output: "./plain" });
  expect((await workspace.train(settings(reference))).code).toBe(0);
  const [stored, plain] = [workspace.metrics(), workspace.metrics("plain")];
  // The model begins as its reference, and not as the base.
  expect(plain[0]!.kl_divergence!).toBeLessThan(1e-9);
  for (const [i, { kl_divergence }] of stored.entries()) {
    expect(Math.abs(kl_divergence! - plain[i]!.kl_divergence!)).toBeLessThan(2e-5 + 0.002 * kl_divergence!);
  }
  expect(plain.at(-1)!.kl_divergence!).toBeGreaterThan(1e-3);

  const whose = (change: object) => workspace.train({ ...settings({ ...reference, ...change }), output: "./other" });
  expect((await whose({ of: "base" })).err).toMatch(
    /its adapter is sha256:[0-9a-f]{64}, expected none: choose another folder/,
  );
  const another = { ...settings(reference), output: "./other" };
  const { err: refused } = await workspace.train({
    ...another,
    train: { ...another.train, adapter: join(FIXTURE, "adapter-final-mr") },
  });
  expect(refused).toMatch(/its adapter is sha256:[0-9a-f]{64}, expected sha256:[0-9a-f]{64}: choose another folder/);
  const fresh = await workspace.train({ ...another, train: { steps: 3 } });
  expect(fresh.err).toContain("it is the adapter that training starts from, and there is none: set train.adapter");
});

test("a run records its store, and its own configuration trains again", async () => {
  const workspace = new Workspace();
  await build(workspace);
  await workspace.train(STORED);
  const [settings] = loadConfig(workspace.path("run", "config.yaml")).regularizers;
  expect(settings).toMatchObject({ reference: { store: workspace.path("store"), kind: "top-k", k: 16 } });
  const again = await klamp(
    "train",
    "--config",
    workspace.path("run/config.yaml"),
    "--set",
    `output=${workspace.path("again")}`,
  );
  expect([again.code, again.err]).toEqual([0, expect.stringContaining("step 2/2")]);
});

test("killed again and again, a build ends with the bytes of one that was not", async () => {
  const workspace = new Workspace();
  const lines = Array.from({ length: 120 }, (_, i) => ({
    tokens: Array.from({ length: 40 }, (_, j) => 5 + ((7 * i + j * j) % 300)),
  }));
  workspace.write("train.jsonl", jsonLines(lines));
  const setting = (store: string) => ({ regularizers: [kl({ reference: { store } })] });
  await build(workspace, setting("./whole"));
  const whole = bytesOf(workspace.path("whole"));
  const config = workspace.config(setting("./store"));
  let kills = 0;
  for (let wait = 0; ; wait += 90) {
    const running = startKlamp("reference", "build", "--config", config);
    await Promise.race([running.says(/^filling/m), running.ended]);
    await setTimeout(wait);
    running.signal("SIGKILL");
    const { code } = await running.ended;
    if (code === 0) break;
    kills++;
    if (kills > 40) throw new Error("no build ever ended");
  }
  expect(kills).toBeGreaterThan(2);
  expect(bytesOf(workspace.path("store"))).toEqual(whole);
});

test("Ctrl-C stops after a block, says how to go on, and it does", async () => {
  const workspace = new Workspace();
  const lines = Array.from({ length: 60 }, (_, i) => ({ tokens: Array.from({ length: 90 }, (_, j) => 5 + i + j) }));
  workspace.write("train.jsonl", jsonLines(lines));
  const config = workspace.config(STORED);
  const first = await klampUntil((err) => /^text/m.test(err), "reference", "build", "--config", config);
  expect(first.code).toBe(130);
  expect(first.out).toMatch(/interrupted after \d+ of 60 texts; the same command continues\n$/);
  const second = await klamp("reference", "build", "--config", config);
  expect(second.code).toBe(0);
  expect(second.out).toMatch(/\d+ texts added, \d+ rows, \d+ were there;/);
  expect((await klamp("train", "--config", config)).code).toBe(0);
});

describe("one sentence says what is wrong and which command to run", () => {
  test.each([
    ["no store", {}, "there is no reference store in .*/store: build it with `klamp reference build --config FILE`"],
    [
      "another k",
      { k: 8 },
      "is of another reference: its k is 16, expected 8: choose another folder, or delete this one",
    ],
    ["another kind", { kind: "hidden", k: undefined }, "its kind is top-k, expected hidden"],
    ["k beyond the vocabulary", { k: 321 }, "is to keep k = 321 tokens, the model's vocabulary has 320: lower k"],
  ])("%s", async (what, change, message) => {
    const workspace = new Workspace();
    if (what !== "no store") await build(workspace);
    const reference = { store: "./store", k: 16, ...change };
    const { code, err } = await workspace.train({ regularizers: [kl({ reference })] });
    expect([code, err.trimEnd().split("\n").length]).toEqual([2, 1]);
    expect(err).toMatch(new RegExp(message));
    expect(existsSync(workspace.path("run"))).toBe(false);
  });

  test("a text that is new", async () => {
    const workspace = new Workspace();
    await build(workspace);
    const train = workspace.read("train.jsonl");
    workspace.write("train.jsonl", `${train}{"text": "a new one"}\n`);
    const { code, err } = await workspace.train(STORED);
    expect(code).toBe(2);
    expect(err).toMatch(
      /lacks 1 of 9 texts, the first is datum 8 \(train\.jsonl:9\): run `klamp reference build --config FILE` with this configuration\n$/,
    );
    await build(workspace);
    expect((await workspace.train(STORED)).code).toBe(0);
  });

  test("invalid settings", async () => {
    const workspace = new Workspace();
    expect((await build(workspace, { regularizers: [kl({})] })).err).toContain("names no reference store");
    const withK = { regularizers: [kl({ reference: { store: "./store", kind: "hidden", k: 3 } })] };
    expect((await build(workspace, withK)).err).toMatch(/regularizers\.0\.reference.*`?k`?/);
    const redrawn = { text: { samples: 4, refresh_every: 2 }, reference: { store: "./store" } };
    expect((await build(workspace, { regularizers: [kl(redrawn)] })).err).toContain(
      "a store holds only the samples drawn first: remove `refresh_every`",
    );
    expect((await klamp("reference", "build")).err).toContain("reference build needs a configuration");
  });
});

test("inspect shows what a store holds; what is damaged is an error", async () => {
  const workspace = new Workspace();
  await build(workspace);
  const sound = await klamp("reference", "inspect", workspace.path("store"));
  expect(sound.code).toBe(0);
  for (const line of [
    /^holds {6}top-k, k 16 and the rest, of a vocabulary of 320; temperature 1$/m,
    /^model {6}sha256:[0-9a-f]{64}$/m,
    /^adapter {4}none: the model alone$/m,
    /^texts {6}8, \d+ rows$/m,
    /^size {7}[\d.]+ kB in 1 shard; [\d.]+ bytes a row, [23]\.\d\d a kept entry$/m,
    /^coverage {3}mean \d\d\.\d\d %, least \d+\.\d\d % of a row's probability$/m,
    /^entropy {4}mean \d\.\d+ nats$/m,
    /^checksums {2}all right$/m,
    /^ {2}\d\.\d–\d\.\d {2}█+ +\d+$/m,
  ]) {
    expect(sound.out).toMatch(line);
  }
  // What a build leaves that was ended before its first block.
  mkdirSync(workspace.path("begun"));
  copyFileSync(workspace.path("store", "store.json"), workspace.path("begun", "store.json"));
  writeFileSync(workspace.path("begun", "index.bin"), "");
  const begun = await klamp("reference", "inspect", workspace.path("begun"));
  expect(begun.out).toMatch(/^texts {6}0, 0 rows\nsize {7}\d+ B in 0 shards\nchecksums {2}all right\n/m);
  const shard = workspace.path("store", "shard-00000.bin");
  const bytes = readFileSync(shard);
  bytes[10]! ^= 1;
  writeFileSync(shard, bytes);
  const { code, out, err } = await klamp("reference", "inspect", workspace.path("store"));
  expect(code).toBe(2);
  expect(out).toMatch(/^checksums {2}1 record is damaged$/m);
  expect(err).toMatch(
    /^klamp: the reference store is damaged at .*shard-00000\.bin, record 0 \(\d+ bytes from byte 0\)/,
  );
  expect((await workspace.train(STORED)).err).toContain("the reference store is damaged at");
});
