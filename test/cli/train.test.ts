import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/file.ts";
import { loadDataset } from "../../src/data/dataset.ts";
import { everyToken } from "../../src/data/datum.ts";
import { openSafetensors, writeSafetensors } from "../../src/data/safetensors.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { FIXTURE, type Json, jsonLines, startKlamp, Workspace } from "./workspace.ts";

const MODEL = join(FIXTURE, "model");

test("a run in a process of its own: what it prints, what it writes", async () => {
  const workspace = new Workspace();
  const config = workspace.config({
    data: { train: "./train.jsonl", validation: "./test.jsonl" },
    lora: { rank: 4 },
    train: { steps: 30, batch_size: 4 },
    optimizer: { learning_rate: 1e-2 },
    regularizers: [{ type: "kl_divergence", weight: 0.1, direction: "reference||model", text: "completions" }],
    evaluate: { task: "./train.jsonl", skills: { others: "./test.jsonl" }, max_tokens: 8, drift_samples: 4 },
    output: "./runs/first",
  });
  const { code, out, err } = await startKlamp("train", "--config", config).ended;
  expect(code).toBe(0);

  const lines = err.trimEnd().split("\n");
  expect(lines.slice(0, 2)).toEqual(["asking the base 12 questions", "training on 8 examples: 30 steps of 4"]);
  expect(lines.at(-2)).toMatch(
    /^step 30\/30 {2}loss \d+\.\d{3} {2}ce \d+\.\d{3} {2}kl \d+\.\d{3} {2}lr 1\.0e-2 {2}[\d,]+ tok\/s {2}0:00 left$/,
  );
  expect(lines.at(-1)).toBe("asking the trained model 12 questions");
  for (const label of ["base", "trained", "others", "new task", "validation loss", "drift"])
    expect(out).toContain(label);
  const folder = workspace.path("runs/first");
  expect(out).toContain(`adapter  ${folder}/adapter\nreport   ${folder}/report.html\n`);

  const files = ["adapter", "checkpoint-30", "config.yaml", "metrics.jsonl", "report.html", "run.json", "summary.json"];
  expect([...workspace.everything(folder).keys()].sort()).toEqual(
    [
      ...files,
      ...[
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
      ].map((each) => join("adapter", each)),
      ...["adapter_config.json", "adapter_model.safetensors", "checkpoint.json", "state.safetensors"].map((each) =>
        join("checkpoint-30", each),
      ),
    ]
      .map((each) => join(folder, each))
      .sort(),
  );

  const rows = workspace.metrics("runs/first");
  expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  const measured = "kl_divergence kl_max kl_min value weight contribution kl_median kl_p95 kl_p99";
  const full = ["task_logit_grad_norm", "kl_top1_agreement", "logit_grad_norm", "task_cosine"];
  for (const row of rows) {
    const inFull =
      (row.step! - 1) % 10 === 0 || row.step === 30
        ? full.filter((name) => name !== "task_cosine" || row.step! > 1)
        : [];
    expect(new Set(Object.keys(row))).toEqual(
      new Set([
        ...`step loss cross_entropy ${measured} grad_norm learning_rate tokens_per_second`.split(" "),
        ...inFull,
      ]),
    );
    expect(Object.values(row).every(Number.isFinite)).toBe(true);
    expect(row.loss).toBeCloseTo(row.cross_entropy! + 0.1 * row.kl_divergence!, 9);
  }
  expect(rows.at(-1)!.cross_entropy).toBeLessThan(rows[0]!.cross_entropy! / 2);

  const summary = workspace.json("runs/first/summary.json") as unknown as SummaryFile;
  expect(summary.runs).toMatchObject([
    { name: "trained", weight: 0.1, regularizer: "KL(reference‖model)", text: "completions" },
  ]);
  expect(summary.runs[0]!.drift).toBeGreaterThan(summary.base.drift);
  expect(summary.base.drift).toBeCloseTo(0, 6);
  expect(summary.runs[0]!.validation.cross_entropy).toBeLessThan(summary.base.validation.cross_entropy);
  expect(out).toContain(summary.conclusion);
  expect(summary).toMatchObject({ seed: 1, settings: { steps: 30, batch_size: 4, rank: 4, alpha: 8 } });
  expect(Object.keys(summary.versions)).toEqual(["klamp", "node", "onnxruntime-node"]);

  const report = workspace.read("runs/first/report.html");
  expect(report).toContain("</html>");
  expect(report).toContain(summary.conclusion);

  // What the folder keeps is a configuration that says the same again.
  const kept = workspace.path("runs/first/config.yaml");
  expect(loadConfig(kept)).toEqual(parse(workspace.read("runs/first/config.yaml")));
  expect(loadConfig(kept).lora).toMatchObject({ rank: 4, alpha: 8, target_modules: "all-linear", use_rslora: false });
});

test("the same configuration and seed give the same numbers and the same bytes, another seed others", async () => {
  const run = async (seed: number) => {
    const workspace = new Workspace();
    const { code } = await workspace.train({
      train: { steps: 5, batch_size: 3, seed },
      regularizers: [
        { weight: 0.1, text: "completions" },
        { name: "anchor", text: { samples: 6, batch_size: 2 } },
      ],
      evaluate: { task: "./test.jsonl", drift_samples: 4 },
    });
    expect(code).toBe(0);
    const metrics = workspace.metrics().map(({ tokens_per_second: _, ...row }) => row);
    const { base, runs } = workspace.json("run/summary.json");
    return { metrics, base, runs, adapter: workspace.read("run/adapter/adapter_model.safetensors") };
  };
  const [first, again, other] = [await run(7), await run(7), await run(8)];
  expect(again).toEqual(first);
  expect(other.metrics).not.toEqual(first.metrics);
  expect(other.adapter).not.toBe(first.adapter);
});

describe("data and what holds the model", () => {
  const KL = { type: "kl_divergence", weight: 0.5, text: "completions" };

  /** A run of a few steps; its metrics. */
  async function rowsOf(workspace: Workspace, changes: Json) {
    const { code, err } = await workspace.train(changes);
    expect(err).not.toContain("klamp:");
    expect(code).toBe(0);
    return workspace.metrics();
  }

  test("conversations, through the model's chat template", async () => {
    const workspace = new Workspace();
    workspace.copy("model");
    const template =
      "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
    workspace.write("model/tokenizer_config.json", {
      ...workspace.json("model/tokenizer_config.json"),
      chat_template: template,
    });
    const turns = (content: string) => [
      { role: "user", content: "Say it" },
      { role: "assistant", content },
    ];
    workspace.write("train.jsonl", jsonLines([{ messages: turns("one") }, { messages: turns("two") }]));
    const [row] = await rowsOf(workspace, { model: "./model", regularizers: [KL] });
    expect(row!.kl_divergence).toBe(0);
  });

  test("a regularizer of which nothing is written: what it is on is kept with the run", async () => {
    const workspace = new Workspace();
    const rows = await rowsOf(workspace, { regularizers: [{}] });
    for (const row of rows) expect(row.loss).toBeCloseTo(row.cross_entropy! + row.kl_divergence!, 9);
    expect(workspace.read("run/anchors.jsonl").match(/\n/g)).toHaveLength(200);
    expect(parse(workspace.read("run/config.yaml"))).toMatchObject({
      regularizers: [
        { weight: 1, direction: "reference||model", text: { samples: 200, batch_size: 8 }, reference: "base" },
      ],
    });
    expect(workspace.read("run/report.html")).toContain("KL(reference‖model) · weight 1 · on 200 samples of the base");
  });

  test("no regularizer: no KL is measured", async () => {
    const [row] = await rowsOf(new Workspace(), { regularizers: [] });
    expect(row!.loss).toBe(row!.cross_entropy);
    expect(row).not.toHaveProperty("kl_divergence");
  });

  test("weight 0 trains as no regularizer does, and measures", async () => {
    const [free, measured] = [new Workspace(), new Workspace()];
    const without = await rowsOf(free, { regularizers: [] });
    const rows = await rowsOf(measured, { regularizers: [{ ...KL, weight: 0 }] });
    expect(rows.map(({ cross_entropy }) => cross_entropy)).toEqual(without.map(({ cross_entropy }) => cross_entropy));
    expect(rows[1]!.kl_divergence).toBeGreaterThan(0);
    const adapter = "run/adapter/adapter_model.safetensors";
    expect(measured.read(adapter)).toBe(free.read(adapter));
  });

  test("a reference in the data or in a file is the base computed on the fly, when it holds the base's own", async () => {
    const workspace = new Workspace();
    const tokens = Array.from({ length: 6 }, (_, i) =>
      Array.from({ length: 9 }, (_, k) => 5 + ((i * 7 + k * 3) % 200)),
    );
    const model = await LocalModel.open(MODEL);
    const base = await (await model.sampler()).distributions(tokens.map((each) => everyToken(each)));
    await model.close();
    const vectors = base.map(({ data }) =>
      Array.from({ length: 8 }, (_, row) => [...data.subarray(row * 320, (row + 1) * 320)]),
    );
    workspace.write("train.jsonl", jsonLines(tokens.map((each, i) => ({ tokens: each, base: vectors[i] }))));
    await writeSafetensors(workspace.path("base.safetensors"), new Map(base.map((each, i) => [`${i}`, each])));

    const settings = { train: { steps: 4, batch_size: 4 }, optimizer: { learning_rate: 2e-2 } };
    const measured = [];
    for (const [i, reference] of ["base", { field: "base" }, { file: "./base.safetensors" }].entries()) {
      const output = `./run-${i}`;
      await workspace.train({ ...settings, output, regularizers: [{ ...KL, reference }] });
      measured.push(workspace.metrics(output).map(({ kl_divergence, loss }) => ({ kl_divergence, loss })));
    }
    expect(measured[0]!.at(-1)!.kl_divergence).toBeGreaterThan(0.001);
    for (const other of measured.slice(1)) {
      for (const [i, { loss, kl_divergence }] of other.entries()) {
        expect(loss).toBeCloseTo(measured[0]![i]!.loss!, 5);
        expect(kl_divergence).toBeCloseTo(measured[0]![i]!.kl_divergence!, 5);
      }
    }
  });

  test("a reference file serves an anchor of texts too", async () => {
    const workspace = new Workspace();
    workspace.write("texts.jsonl", jsonLines(["odd", "even", "both"].map((text) => ({ text }))));
    const data = await loadDataset(workspace.path("texts.jsonl"), loadTokenizer(MODEL), {
      maxLength: 99,
      vocabSize: 320,
    });
    const model = await LocalModel.open(MODEL);
    const base = await (await model.sampler()).distributions(data);
    await model.close();
    await writeSafetensors(workspace.path("base.safetensors"), new Map(base.map((each, i) => [`${i}`, each])));
    const anchor = { ...KL, text: { file: "./texts.jsonl", batch_size: 2 } };
    const rows = await rowsOf(workspace, {
      regularizers: [
        { ...anchor, name: "asked" },
        { ...anchor, name: "read", reference: { file: "./base.safetensors" } },
      ],
    });
    for (const row of rows) expect(row["read/kl_divergence"]).toBeCloseTo(row["asked/kl_divergence"]!, 5);
    expect(rows[1]!["read/kl_divergence"]).toBeGreaterThan(0);
  });

  test("several regularizers: each measures under its name, the first also under the plain names", async () => {
    const rows = await rowsOf(new Workspace(), {
      regularizers: [
        { ...KL, weight: 0.1 },
        { name: "js", weight: 0.2, symmetric: true, clip: 0.01, text: "completions" },
        { ...KL, name: "anchor", text: { samples: 6, batch_size: 3 } },
      ],
    });
    const { loss, cross_entropy, kl_divergence, ...row } = rows[1]!;
    expect(row["kl_divergence/kl_divergence"]).toBe(kl_divergence);
    expect(loss).toBeCloseTo(
      cross_entropy! + 0.1 * kl_divergence! + 0.2 * row["js/kl_divergence"]! + 0.5 * row["anchor/kl_divergence"]!,
      9,
    );
    expect(row["js/kl_clipped"]).toBeGreaterThanOrEqual(0);
  });

  test("epochs: as many steps as go through the data so often, also when a batch holds all of it", async () => {
    const all = await rowsOf(new Workspace(), { train: { epochs: 3, batch_size: 100 } });
    expect(all).toHaveLength(3);
    const halves = await rowsOf(new Workspace(), { train: { epochs: 1.5, batch_size: 4 } });
    expect(halves).toHaveLength(3);
  });

  test("an adapter that was written can be trained further, with the settings it has", async () => {
    const workspace = new Workspace();
    const adapted = { lora: { rank: 2, alpha: 4, target_modules: ["q_proj", "v_proj"] } };
    const first = await rowsOf(workspace, { ...adapted, train: { steps: 4, batch_size: 8, shuffle: false } });
    const { code } = await workspace.train({
      train: { adapter: "./run/adapter", steps: 1, batch_size: 8 },
      output: "./more",
    });
    expect(code).toBe(0);
    expect(workspace.metrics("more")[0]!.cross_entropy).toBeLessThan(first.at(-1)!.cross_entropy!);
    expect(parse(workspace.read("more/config.yaml")).lora).toMatchObject({
      ...adapted.lora,
      use_rslora: false,
      dropout: 0,
    });
    const { shapes, close } = await openSafetensors(workspace.path("more/adapter/adapter_model.safetensors"));
    await close();
    expect(shapes.size).toBe(2 * 2 * 2);
    expect([...shapes.keys()].every((name) => /\.(q|v)_proj\.lora_[AB]\.weight$/.test(name))).toBe(true);
  });
});

test("--set changes a setting, and its paths count from the working directory", async () => {
  const workspace = new Workspace();
  const { code, err } = await workspace.train(
    {},
    "--set",
    "train.steps=1",
    "--set",
    `output=${workspace.path("other")}`,
  );
  expect(err).toContain("step 1/1");
  expect(code).toBe(0);
  expect(existsSync(workspace.path("run"))).toBe(false);
  expect(workspace.metrics("other")).toHaveLength(1);
});

test("nothing is measured that was not asked for", async () => {
  const workspace = new Workspace();
  const { out, err } = await workspace.train();
  expect(err.split("\n")[0]).toBe("training on 8 examples: 2 steps of 4");
  expect(out.trimStart()).toMatch(/^Nothing was measured: give evaluate\.task and evaluate\.skills/);
});

interface Measured {
  readonly drift: number;
  readonly validation: { readonly cross_entropy: number; readonly drift: number };
}

interface SummaryFile {
  readonly base: Measured;
  readonly runs: readonly Measured[];
  readonly conclusion: string;
  readonly versions: Json;
}

test("files of several forms with shares: what is drawn, what is cut, and what is left out", async () => {
  const workspace = new Workspace();
  workspace.write("parts/a.jsonl", jsonLines([{ text: "to be" }, { text: "or not", weight: 0 }]));
  workspace.write("parts/b.json", JSON.stringify([{ tokens: [1, 2, 3, 4, 5, 6] }, { tokens: [2, 3] }], null, 1));
  workspace.write("c.csv", 'prompt,completion\n"a,",b\n');
  const { code, err } = await workspace.train({
    data: { train: ["./parts/*", { file: "./c.csv", share: 0.5 }], max_length: 5, too_long: "truncate" },
    train: { steps: 2, batch_size: 2 },
    evaluate: { skills: null, drift_samples: 0 },
  });
  expect([code, err.includes("klamp:")]).toEqual([0, false]);
  const lines = err.replaceAll(`${workspace.folder}/`, "").split("\n");
  expect(lines.slice(0, 3)).toEqual([
    "2 of 4 lines of parts/* had more than 5 tokens (the longest, a.jsonl:1, has 6) and were cut at the end",
    "1 of 4 lines of parts/* have weight 0 and are left out",
    "training on 4 examples: 2 steps of 2",
  ]);
});
