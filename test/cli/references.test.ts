import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadDataset } from "../../src/data/dataset.ts";
import { everyToken } from "../../src/data/datum.ts";
import { writeSafetensors } from "../../src/data/safetensors.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { logSoftmax } from "../../src/divergence/log-softmax.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { startVllm, type VllmOptions } from "../reference/server/vllm.ts";
import { FIXTURE, type Json, jsonLines, startKlamp, Workspace } from "./workspace.ts";

/** @file References and anchors of whole runs, as a configuration asks for them. */

const MODEL = join(FIXTURE, "model");
const KL = { type: "kl_divergence", weight: 0.5, text: "completions" };
const SHORT = { train: { steps: 6, batch_size: 4 }, optimizer: { learning_rate: 1e-2 } };

/** A run of a few steps; its metrics. */
async function rowsOf(workspace: Workspace, changes: Json, output = "run") {
  const { code, err } = await workspace.train({ ...SHORT, ...changes, output: `./${output}` });
  expect(err).not.toContain("klamp:");
  expect(code).toBe(0);
  return workspace.metrics(output);
}

const kls = (rows: Awaited<ReturnType<typeof rowsOf>>) => rows.map(({ kl_divergence }) => kl_divergence!);

describe("the model's own past", () => {
  test("start is the adapter that training starts from, base the model without it; the run says which", async () => {
    const workspace = new Workspace();
    await rowsOf(workspace, { regularizers: [] }, "first");
    const adapter = "./first/adapter";
    const train = { ...SHORT.train, adapter };
    const start = await rowsOf(workspace, { train, regularizers: [{ ...KL, reference: "start" }] }, "start");
    const base = await rowsOf(workspace, { train, regularizers: [KL] }, "base");
    expect(kls(start)[0]).toBeCloseTo(0, 6);
    expect(kls(start)[5]).toBeGreaterThan(0);
    expect(kls(base)[0]).toBeGreaterThan(0.01);
    expect(workspace.read("start/config.yaml")).toContain("reference: start");
    expect(workspace.json("start/summary.json").runs).toMatchObject([{ reference: "start" }]);
    expect(workspace.json("base/summary.json").runs).toMatchObject([{ reference: "base" }]);
    expect(workspace.read("start/report.html")).toContain("reference: start");
  });

  test("a synced reference is a copy of the model: the divergence is 0 again after each copy", async () => {
    const workspace = new Workspace();
    const found = kls(await rowsOf(workspace, { regularizers: [{ ...KL, reference: { synced: { every: 3 } } }] }));
    for (const step of [0, 3]) expect(found[step]).toBeCloseTo(0, 6);
    for (const step of [1, 2, 4, 5]) expect(found[step]).toBeGreaterThan(1e-6);
    expect(workspace.json("run/summary.json").runs).toMatchObject([{ reference: "the model up to 3 steps ago" }]);
  });
});

describe("anchors", () => {
  const sampled = (changes: Json = {}) => ({ ...KL, text: { samples: 6, batch_size: 2, max_tokens: 10, ...changes } });

  test("samples are kept with the run, and as a file are the same anchor", async () => {
    const workspace = new Workspace();
    const drawn = await rowsOf(workspace, { regularizers: [sampled()] }, "drawn");
    const lines = workspace.read("drawn/anchors.jsonl").trimEnd().split("\n");
    expect(lines).toHaveLength(6);
    const kept = lines.map((line) => JSON.parse(line) as { tokens: number[]; sample: string });
    expect(kept[0]).toMatchObject({ regularizer: "kl_divergence", step: 1 });
    expect(loadTokenizer(MODEL).decode(kept[0]!.tokens)).toBe(kept[0]!.sample);
    const file = { file: "./drawn/anchors.jsonl", batch_size: 2 };
    const read = await rowsOf(workspace, { regularizers: [{ ...KL, text: file }] }, "read");
    expect(kls(read)).toEqual(kls(drawn));
  });

  test("samples are drawn anew every so many steps if asked, and all are kept", async () => {
    const workspace = new Workspace();
    const once = await rowsOf(workspace, { regularizers: [sampled()] }, "once");
    const anew = await rowsOf(workspace, { regularizers: [sampled({ refresh_every: 2 })] }, "anew");
    expect(kls(anew).slice(0, 2)).toEqual(kls(once).slice(0, 2));
    expect(kls(anew).slice(2)).not.toEqual(kls(once).slice(2));
    const kept = workspace
      .read("anew/anchors.jsonl")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { step: number; tokens: number[] });
    expect(kept.map(({ step }) => step)).toEqual([1, 3, 5].flatMap((step) => new Array(6).fill(step)));
    expect(new Set(kept.map(({ tokens }) => tokens.join())).size).toBeGreaterThan(6);
  });

  test("one regularizer on the completions, samples and a file at once", async () => {
    const workspace = new Workspace();
    workspace.write("texts.jsonl", jsonLines([{ text: "Is it odd?" }, { text: "Is it not?" }]));
    const text = ["completions", sampled().text, { file: "./texts.jsonl", batch_size: 1 }];
    const rows = await rowsOf(workspace, { regularizers: [{ ...KL, text }] });
    for (const row of rows) expect(row.loss).toBeCloseTo(row.cross_entropy! + 0.5 * row.kl_divergence!, 6);
    expect(kls(rows).at(-1)).toBeGreaterThan(0);
    expect(workspace.read("run/report.html")).toContain(
      "on the completions and 6 samples of the base and texts of a file",
    );
  });
});

test("a file of the base's own distributions at another temperature is refused, unless declared: then it is the base", async () => {
  const workspace = new Workspace();
  const model = await LocalModel.open(MODEL, { threads: 1 });
  const { vocabSize, maxPositions } = model.config;
  const limits = { maxLength: maxPositions, vocabSize };
  const data = await loadDataset(workspace.path("train.jsonl"), loadTokenizer(MODEL), limits);
  const whole = data.map(({ modelInput }) => everyToken([...modelInput, 0]));
  const tempered = (await (await model.sampler()).distributions(whole)).map(({ data, shape }) =>
    logSoftmax({ data: data.map((x) => x / 2), shape }),
  );
  await model.close();
  await writeSafetensors(workspace.path("half.safetensors"), new Map(tempered.map((rows, i) => [`${i}`, rows])));
  const reference = { file: "./half.safetensors" };
  const { code, err } = await workspace.train({ ...SHORT, regularizers: [{ ...KL, reference }] });
  expect(code).toBe(2);
  expect(err).toMatch(
    /^klamp: the reference \(.*half\.safetensors\), datum 0 \(train\.jsonl:1\): it is the base's own distribution at temperature 2: ask for log-probabilities at temperature 1, or set temperature: 2\n$/,
  );
  const declared = { ...reference, temperature: 2 };
  const found = await rowsOf(workspace, { regularizers: [{ ...KL, reference: declared }] }, "declared");
  const base = await rowsOf(workspace, { regularizers: [KL] }, "base");
  for (const [i, value] of kls(found).entries()) expect(value).toBeCloseTo(kls(base)[i]!, 4);
});

describe("a server", () => {
  async function serve(options: Partial<VllmOptions> = {}) {
    const model = await LocalModel.open(MODEL, { threads: 1 });
    const server = await startVllm({ model: await model.sampler(), tokenizer: loadTokenizer(MODEL), ...options });
    return { ...server, close: () => model.close() };
  }
  const held = (url: string, more: Json = {}) => [
    { ...KL, reference: { server: { url, model: "base", retries: 0, ...more } } },
  ];

  test("holds the model as the base does, up to what it does not tell, and is asked once about each line", async () => {
    const workspace = new Workspace();
    const { url, requests, close } = await serve({ maxLogprobs: 1000 });
    const vocabulary = loadTokenizer(MODEL).vocabularySize;
    const base = await rowsOf(workspace, { regularizers: [KL] }, "base");
    const all = await rowsOf(workspace, { regularizers: held(url, { k: vocabulary }) }, "all");
    for (const [i, value] of kls(all).entries()) expect(value).toBeCloseTo(kls(base)[i]!, 3);
    const prompts = requests.flatMap(({ prompt }) => prompt as number[][]);
    expect(prompts).toHaveLength(8);
    const some = await rowsOf(workspace, { regularizers: held(url, { k: 4 }) }, "some");
    expect(some[1]!.kl_coverage).toBeLessThan(1);
    expect(kls(some)[1]).toBeGreaterThan(0);
    expect(kls(some)[1]).toBeLessThanOrEqual(kls(base)[1]! + 1e-5);
    expect(workspace.json("some/summary.json").runs).toMatchObject([{ reference: `base at ${url}` }]);
    await close();
  });

  test("that is wrong is refused before anything is trained or written", async () => {
    const { url, close } = await serve({ temperature: 2 });
    for (const [more, said] of [
      [{ model: "other" }, 'has no model "other", it serves "base"'],
      [{ k: 21 }, "k is 21, lower it, or start vLLM with --max-logprobs 21"],
      [{}, "it is the base's own distribution at temperature 2: ask for log-probabilities at temperature 1"],
      [{ api_key_env: "KLAMP_TEST_NO_SUCH_KEY" }, "names KLAMP_TEST_NO_SUCH_KEY, which is not set"],
    ] as const) {
      const workspace = new Workspace();
      const { code, err } = await workspace.train({ ...SHORT, regularizers: held(url, more) });
      const [error, ...notes] = err.trimEnd().split("\n").reverse();
      expect(error).toContain(said);
      expect(
        notes.every((note) =>
          /^\d.* steps of |^about \d|^memory up to |^asking \w+ at http.* about the first text$/.test(note),
        ),
      ).toBe(true);
      expect(code).toBe(2);
      expect([...workspace.everything().keys()].some((path) => path.endsWith("run"))).toBe(false);
    }
    await close();
  });

  test("that falls silent: Ctrl-C does not wait for it, and keeps the steps taken", async () => {
    const workspace = new Workspace();
    workspace.write(
      "train.jsonl",
      jsonLines(Array.from({ length: 12 }, (_, i) => ({ prompt: `Is ${i} odd?`, completion: i % 2 ? " yes" : " no" }))),
    );
    // The first look and the first two batches are answered.
    let silent = () => {};
    const hanging = new Promise<void>((resolve) => {
      silent = resolve;
    });
    const { url, close } = await serve({
      instead: (n) => {
        if (n <= 3) return undefined;
        silent();
        return "hang";
      },
    });
    const train = { steps: 50, batch_size: 2, shuffle: false };
    const running = startKlamp("train", "--config", workspace.config({ train, regularizers: held(url) }));
    await hanging;
    running.signal("SIGINT");
    const { code, err } = await running.ended;
    expect(code).toBe(130);
    expect(err).toContain("interrupted after step 2");
    expect(workspace.metrics()).toHaveLength(2);
    await close();
  });
});
