import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { readRecord } from "../../scripts/evidence/record.ts";
import { UserError } from "../../src/common/errors.ts";
import { loadConfig, stringifyConfig } from "../../src/config/file.ts";

const folder = mkdtempSync(join(tmpdir(), "klamp-config-"));
const file = join(folder, "config.yaml");
const REQUIRED = "model: ./model\ndata: { train: ./train.jsonl }\n";
const SAMPLES = { samples: 200, batch_size: 8, max_tokens: 36, temperature: 1, seed: null, refresh_every: null };

function load(yaml: string, ...sets: string[]) {
  writeFileSync(file, yaml);
  return loadConfig(file, sets);
}

function complaint(yaml: string, ...sets: string[]): string {
  try {
    load(yaml, ...sets);
  } catch (error) {
    if (error instanceof UserError) return error.message.replaceAll(`${folder}/`, "");
    throw error;
  }
  throw new Error("the configuration was accepted");
}

describe("defaults", () => {
  test("are those of the documented configuration", () => {
    expect(load(REQUIRED)).toEqual({
      model: join(folder, "model"),
      data: {
        train: join(folder, "train.jsonl"),
        validation: null,
        max_length: null,
        too_long: "error",
        chat_template: null,
        template_kwargs: {},
        system_prompt: null,
      },
      lora: {
        rank: null,
        alpha: null,
        target_modules: null,
        use_rslora: null,
        dropout: null,
        rank_pattern: null,
        alpha_pattern: null,
        layers_to_transform: null,
      },
      train: {
        steps: 300,
        epochs: null,
        save_every: null,
        keep: 2,
        batch_size: 16,
        seed: 1,
        shuffle: true,
        report_every: 10,
        worst_tokens: 0,
        adapter: null,
      },
      optimizer: {
        learning_rate: 3e-3,
        schedule: "constant",
        warmup_steps: 0,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weight_decay: 0,
        grad_clip: 1,
      },
      regularizers: [],
      evaluate: {
        task: null,
        skills: {},
        max_tokens: 32,
        completions: 4,
        drift_samples: 64,
        every: null,
        items: 64,
        best: null,
        patience: null,
        max_drift: null,
      },
      engine: { type: "local", threads: "auto" },
      output: join(folder, "runs/first"),
    });
  });

  test("null is as if left out", () => {
    expect(load(`${REQUIRED}evaluate: { task: null, skills: null }`)).toEqual(load(REQUIRED));
  });

  test("files of training data: their paths count from the configuration's folder, patterns too", () => {
    const { train } = load("model: m\ndata: { train: ['./a/*.jsonl', { file: b.csv, share: 0.25 }] }").data;
    expect(train).toEqual([join(folder, "a/*.jsonl"), { file: join(folder, "b.csv"), share: 0.25 }]);
  });

  test("of a regularizer: KL(reference‖model) to the base on samples of it", () => {
    expect(load(`${REQUIRED}regularizers: [{ type: kl_divergence }]`).regularizers).toEqual([
      {
        type: "kl_divergence",
        name: null,
        weight: 1,
        direction: "reference||model",
        symmetric: false,
        reduction: "mean",
        epsilon: 0,
        clip: null,
        exclude_tokens: [],
        text: SAMPLES,
        reference: "base",
      },
    ]);
  });

  test("of a regularizer are settings that were measured", () => {
    const measured = readRecord().filter(
      ({ split, regularizer }) =>
        split === "test" &&
        isDeepStrictEqual(regularizer, {
          weight: 1,
          direction: "reference||model",
          text: { samples: 200, batch_size: 8 },
        }),
    );
    expect(measured.map(({ seed }) => seed)).toEqual([1, 2, 3]);
    for (const { result } of measured) expect(result.retention).toBeGreaterThan(0.95);
  });

  test.each([
    ["reference: base", SAMPLES],
    ["reference: { store: s }", SAMPLES],
    ["reference: { server: { url: 'http://a', model: b } }", SAMPLES],
    ["reference: { synced: { every: 5 } }", SAMPLES],
    ["text: null", SAMPLES],
    ["reference: { field: q }", "completions"],
    ["reference: { file: q.safetensors }", "completions"],
    ["text: completions", "completions"],
    ["type: jensen_shannon", "completions"],
  ])("the text of a regularizer { %s }", (written, text) => {
    const config = load(`${REQUIRED}regularizers: [{ ${written} }]`);
    expect(config.regularizers).toMatchObject([{ text }]);
    expect(load(stringifyConfig(config))).toEqual(config);
  });

  test("the documented example is accepted as it stands", () => {
    const config = load(`
model: ./models/base
data: { train: ./train.jsonl, validation: ./valid.jsonl }
lora: { rank: 8, alpha: 16, target_modules: all-linear, use_rslora: false }
train: { steps: 300, batch_size: 16, seed: 1, shuffle: true, adapter: null }
optimizer: { learning_rate: 3.0e-3, betas: [0.9, 0.999], eps: 1.0e-8, weight_decay: 0, grad_clip: 1.0, schedule: constant, warmup_steps: 0 }
regularizers:
  - { type: kl_divergence, weight: 0.1, direction: reference||model }
evaluate: { task: ./test.jsonl, skills: { capitals: ./capitals.jsonl }, max_tokens: 32, completions: 4, drift_samples: 64 }
engine: { type: local, threads: auto }
output: ./runs/first
`);
    expect(config.regularizers[0]).toMatchObject({ weight: 0.1, direction: "reference||model" });
  });

  test("~ is the home folder, in the file and in overrides", () => {
    const home = homedir();
    const config = load("model: ~/m\ndata: { train: ~/a/t.jsonl }\n", "output=~/run", "train.adapter=~/");
    expect(config.model).toBe(join(home, "m"));
    expect(config.data.train).toBe(join(home, "a/t.jsonl"));
    expect(config.output).toBe(join(home, "run"));
    expect(config.train.adapter).toBe(home);
  });

  test("a hub name stays as it is, where no folder has that name, and is read back", () => {
    const yaml = "model: org/name@v1\ndata: { train: org/name }\ntrain: { adapter: who/adapter }\n";
    const config = load(yaml);
    expect(config.model).toBe("org/name@v1");
    expect(config.train.adapter).toBe("who/adapter");
    // A file of data is none.
    expect(config.data.train).toBe(join(folder, "org/name"));
    expect(load(stringifyConfig(config))).toEqual(config);
    expect(load(REQUIRED, "model=org/name").model).toBe("org/name");

    mkdirSync(join(folder, "who/adapter"), { recursive: true });
    expect(load(yaml).train.adapter).toBe(join(folder, "who/adapter"));
    // Of an override what counts is the working directory.
    expect(load(REQUIRED, "train.adapter=who/adapter").train.adapter).toBe("who/adapter");
    expect(load(REQUIRED, "model=test/fixtures").model).toBe(resolve("test/fixtures"));
  });

  test.each(["name", "./org/name", "/org/name", "../org/name", "org/name/more", "org/na--me"])(
    "%s is a path",
    (model) => {
      expect(load(`model: ${model}\ndata: { train: t }\n`).model).toBe(resolve(folder, model));
    },
  );

  test("paths count from the file's folder, absolute ones stay", () => {
    const config = load(
      `${REQUIRED}regularizers: [{ text: { file: texts.jsonl }, reference: { file: /q.jsonl } }]\ntrain: { adapter: start }`,
    );
    expect(config.regularizers[0]).toMatchObject({
      text: { file: join(folder, "texts.jsonl"), batch_size: 8 },
      reference: { file: "/q.jsonl" },
    });
    expect(config.train.adapter).toBe(join(folder, "start"));
  });

  test("a formatted configuration reads back to itself", () => {
    for (const train of ["{}", "{ epochs: 1.5 }", "{ steps: 7 }"]) {
      const config = load(
        `${REQUIRED}train: ${train}\nregularizers: [{ text: { samples: 800 } }, { reference: { field: q } }, { text: [completions, { samples: 8, refresh_every: 50 }, { file: /a }], reference: { synced: { every: 5 } } }]`,
      );
      expect(load(stringifyConfig(config))).toEqual(config);
    }
  });
});

describe("--set", () => {
  test("overrides and adds, with YAML values and list indices", () => {
    const yaml = `${REQUIRED}train: { steps: 5 }\nregularizers: [{ weight: 1 }]\n`;
    const config = load(
      yaml,
      "train.steps=7",
      "regularizers.0.weight=0.5",
      "optimizer.betas=[0.8, 0.9]",
      "lora.rank=4",
    );
    expect(config.train.steps).toBe(7);
    expect(config.regularizers[0]!.weight).toBe(0.5);
    expect(config.optimizer.betas).toEqual([0.8, 0.9]);
    expect(config.lora.rank).toBe(4);
  });

  test("null unsets a key", () => {
    const config = load(`${REQUIRED}train: { steps: 5 }`, "train.steps=null", "train.epochs=2");
    expect(config.train).toMatchObject({ steps: null, epochs: 2 });
  });

  test("a path counts from the working directory, and a default from the file's folder", () => {
    const config = load(
      `${REQUIRED}evaluate: { task: test.jsonl }`,
      "data.train=./x.jsonl",
      "evaluate.skills.capitals=c.jsonl",
    );
    expect(config.data.train).toBe(resolve("x.jsonl"));
    expect(config.evaluate.skills).toEqual({ capitals: resolve("c.jsonl") });
    expect(config.evaluate.task).toBe(join(folder, "test.jsonl"));
    expect(config.output).toBe(join(folder, "runs/first"));
    expect(load(REQUIRED, "data={ train: y.jsonl }").data.train).toBe(resolve("y.jsonl"));
  });

  test("replaces a single word by a group", () => {
    const config = load(
      `${REQUIRED}regularizers: [{ text: completions }]`,
      "regularizers.0.text.samples=800",
      "regularizers.0.reference=base",
    );
    expect(config.regularizers[0]).toEqual(
      expect.objectContaining({
        text: {
          samples: 800,
          batch_size: 8,
          max_tokens: 36,
          temperature: 1,
          seed: null,
          refresh_every: null,
        },
      }),
    );
  });

  test("cannot change prototypes", () => {
    const message =
      "--set __proto__.polluted=1: unknown key `__proto__`; it takes model, data, lora, train, optimizer, regularizers, evaluate, engine, output";
    expect(complaint(REQUIRED, "__proto__.polluted=1")).toBe(message);
    expect(complaint(REQUIRED, "train.constructor.x=1")).toContain("unknown key `constructor` in train");
    expect({}).not.toHaveProperty("polluted");
  });
});

describe("what is wrong is said in one sentence, with its place", () => {
  test.each([
    [
      "optimizer:\n  betas: [0.9, 0.99]\n  learning_rat: 1\n",
      "config.yaml:5: unknown key `learning_rat` in optimizer; did you mean `learning_rate`?",
    ],
    ["lorra: {}\n", "config.yaml:3: unknown key `lorra`; did you mean `lora`?"],
    ["optimizer: { lr: 1 }\n", "config.yaml:3: unknown key `lr` in optimizer; write `learning_rate`"],
    ["train:\n  steps: many\n", 'config.yaml:4: train.steps is "many", expected a whole number of at least 1'],
    [
      "train: { steps: 3, epochs: 1 }\n",
      "config.yaml:3: train.epochs: give train.steps or train.epochs, not both: remove one",
    ],
    ["train:\n", "config.yaml:3: train is null, expected a group of settings, such as { steps: … }"],
    [
      "regularizers:\n  - weight: 1\n  - weight: -0.5\n",
      "config.yaml:5: regularizers.1.weight is -0.5, expected a finite number of at least 0",
    ],
    [
      "regularizers: [{ weight: .nan }]\n",
      "config.yaml:3: regularizers.0.weight is NaN, expected a finite number of at least 0, or what moves it, such as { budget: 0.1 } or { schedule: linear, to: 0.5, steps: 100 }",
    ],
    [
      "regularizers: [{ weight: .inf }]\n",
      "config.yaml:3: regularizers.0.weight is Infinity, expected a finite number of at least 0, or what moves it, such as { budget: 0.1 } or { schedule: linear, to: 0.5, steps: 100 }",
    ],
    [
      "regularizers: [{ type: kl }]\n",
      'config.yaml:3: regularizers.0.type is "kl", expected one of kl_divergence, jensen_shannon, entropy, consistency, orthogonality, l1, l2, elastic_net',
    ],
    [
      "regularizers: [{ type: jensen_shannon, bta: 0.1 }]\n",
      "config.yaml:3: unknown key `bta` in regularizers.0; did you mean `beta`?",
    ],
    [
      "regularizers: [{ type: jensen_shannon, beta: 1 }]\n",
      "config.yaml:3: regularizers.0.beta is 1, expected a number above 0 and below 1",
    ],
    ["regularizers: [3]\n", "config.yaml:3: regularizers.0 is 3, expected a group of settings, such as { type: … }"],
    [
      "regularizers: [{ text: { sample: 3 } }]\n",
      "config.yaml:3: unknown key `sample` in regularizers.0.text; did you mean `samples`?",
    ],
    [
      "regularizers: [{ text: { samples: 3, batchsize: 2 } }]\n",
      "config.yaml:3: unknown key `batchsize` in regularizers.0.text; did you mean `batch_size`?",
    ],
    [
      "regularizers: [{ text: prompts }]\n",
      'config.yaml:3: regularizers.0.text is "prompts", expected completions, { samples: NUMBER } or { file: PATH }, or a list of these',
    ],
    [
      "regularizers: [{ text: [completions, { samples: 0 }] }]\n",
      "config.yaml:3: regularizers.0.text.1.samples is 0, expected a whole number of at least 1",
    ],
    [
      "regularizers: [{ text: [] }]\n",
      "config.yaml:3: regularizers.0.text is [], expected completions, { samples: NUMBER } or { file: PATH }, or a list of these",
    ],
    [
      "regularizers: [{ text: [completions, { file: a.jsonl }], reference: { file: b } }]\n",
      "config.yaml:3: regularizers.0.reference: a `file` reference matches one text file: give each text its own regularizer",
    ],
    [
      "regularizers: [{ reference: start }]\n",
      "config.yaml:3: regularizers.0.reference: it is the adapter that training starts from, and there is none: set train.adapter, or use `reference: base`",
    ],
    [
      "regularizers: [{ reference: { synced: { every: 0 } } }]\n",
      "config.yaml:3: regularizers.0.reference.synced.every is 0, expected a whole number of at least 1",
    ],
    [
      "regularizers: [{ reference: {} }]\n",
      "config.yaml:3: regularizers.0.reference is {}, expected base, start, { field: NAME }, { file: PATH }, { store: FOLDER }, { server: { url: URL, model: NAME } } or { synced: { every: STEPS } }",
    ],
    [
      "regularizers: [{ reference: { field: a, file: b } }]\n",
      "config.yaml:3: regularizers.0.reference cannot have both `field` and `file`: remove one",
    ],
    [
      "regularizers: [{ reference: { temperature: 2, field: a, file: b } }]\n",
      "config.yaml:3: regularizers.0.reference cannot have both `field` and `file`: remove one",
    ],
    [
      "regularizers: [{ reference: { store: a, kind: hidden, k: 8 } }]\n",
      "config.yaml:3: regularizers.0.reference cannot have both `kind: hidden` and `k`: remove one",
    ],
    [
      'regularizers: [{ reference: { server: { url: "localhost:8000", model: base } } }]\n',
      'config.yaml:3: regularizers.0.reference.server.url is "localhost:8000", expected the address of a server, such as http://127.0.0.1:8000',
    ],
    [
      'regularizers: [{ reference: { server: { url: "http://a", model: b }, k: 64 } }]\n',
      "config.yaml:3: unknown key `k` in regularizers.0.reference; did you mean `server.k`?",
    ],
    [
      "train: { seed: 2 }\nbatch_size: 4\n",
      "config.yaml:4: unknown key `batch_size`; did you mean `train.batch_size`?",
    ],
    [
      "train: { report_every: 0, worst_tokens: 5 }\n",
      "config.yaml:3: train.worst_tokens: `worst_tokens` is written with full reports: set `report_every` above 0",
    ],
    [
      "regularizers: [{ text: { samples: 3 }, reference: { field: q } }]\n",
      "config.yaml:3: regularizers.0.reference: `field` and `file` references cover only lines of a data file: use `reference: base`, or completions",
    ],
    [
      "lora: { target_modules: [q_proj, qproj] }\n",
      'config.yaml:3: lora.target_modules.1 is "qproj", expected all-linear, or a list of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj',
    ],
    ["optimiser: {}\n", "config.yaml:3: unknown key `optimiser`; did you mean `optimizer`?"],
    [
      "evaluate:\n  skills: ./capitals.jsonl\n",
      'config.yaml:4: evaluate.skills is "./capitals.jsonl", expected named files, such as { capitals: ./capitals.jsonl }',
    ],
    [
      "evaluate: { skills: { capitals: 7 } }\n",
      "config.yaml:3: evaluate.skills.capitals is 7, expected the path of a file of prompts and completions",
    ],
    ["engine: { threads: 0 }\n", "config.yaml:3: engine.threads is 0, expected a whole number of at least 1"],
    [
      "engine: { threads: all }\n",
      'config.yaml:3: engine.threads is "all", expected auto, or a whole number from 1 to 1,024',
    ],
    [
      "optimizer: { schedule: step }\n",
      'config.yaml:3: optimizer.schedule is "step", expected constant, linear or cosine',
    ],
    [
      "optimizer: { betas: [0.9] }\n",
      "config.yaml:3: optimizer.betas is [0.9], expected two numbers, as in [0.9, 0.999]",
    ],
    ["optimizer: { betas: [0.9, 1] }\n", "config.yaml:3: optimizer.betas.1 is 1, expected a number from 0 to below 1"],
    [
      "regularizers: { weight: 1 }\n",
      'config.yaml:3: regularizers is {"weight":1}, expected a list of regularizers, such as [{ type: kl_divergence }]',
    ],
    [
      "regularizers: [{ direction: back }]\n",
      `config.yaml:3: regularizers.0.direction is "back", expected reference||model or model||reference (in a shell quote it: --set 'regularizers.0.direction=model||reference')`,
    ],
    [
      "lora: [\n",
      "config.yaml:4: this is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
    ["model: other\n", "config.yaml:3: this is not valid YAML: the key model is there twice"],
  ])("%j", (yaml, expected) => {
    expect(complaint(REQUIRED + yaml)).toBe(expected);
  });

  test.each([
    [
      "[]",
      "data.train is [], expected the path of a file of data, or a list of paths and { file: PATH, share: NUMBER }",
    ],
    ["[a, 7]", "data.train.1 is 7, expected a path, or { file: PATH, share: NUMBER }"],
    ["[a, { file: b, share: 0 }]", "data.train.1.share is 0, expected a number above 0, at most 1"],
    ["[a, { file: b, share: 1.5 }]", "data.train.1.share is 1.5, expected a number above 0, at most 1"],
    ["[a, { file: b }]", 'data.train.1 is {"file":"b"}, expected a path, or { file: PATH, share: NUMBER }'],
    [
      "[{ file: a, share: 0.5 }, { file: b, share: 0.4 }]",
      "data.train: the shares add up to 0.9, expected 1: change one, or leave one out",
    ],
    [
      "[{ file: a, share: 0.5 }, { file: b, share: 0.5 }, c]",
      "data.train: the shares add up to 1, which leaves nothing for the files without one",
    ],
  ])("data.train: %s", (train, expected) => {
    expect(complaint(`model: m\ndata: { train: ${train} }`)).toBe(`config.yaml:2: ${expected}`);
  });

  test("a key of another kind of regularizer", () => {
    expect(complaint(`${REQUIRED}regularizers: [{ type: l2, beta: 0.1 }]`)).toBe(
      "config.yaml:3: unknown key `beta` in regularizers.0; write `weight` (`beta` is a setting of jensen_shannon alone)",
    );
  });

  test("a missing key", () => {
    expect(complaint("data: { train: a }")).toBe(
      "config.yaml: `model` is missing: give the path of a Hugging Face model folder, or a name on the Hugging Face hub",
    );
    expect(complaint("model: a\ndata: {}")).toBe(
      "config.yaml:2: `data.train` is missing: give the path of a file of data, or a list of paths and { file: PATH, share: NUMBER }",
    );
  });

  test.each([
    [
      "optimizer.learning_rat=1",
      "--set optimizer.learning_rat=1: unknown key `learning_rat` in optimizer; did you mean `learning_rate`?",
    ],
    ["train.steps=0", "--set train.steps=0: train.steps is 0, expected a whole number of at least 1"],
    ["train={ steps: 0 }", "--set train={ steps: 0 }: train.steps is 0, expected a whole number of at least 1"],
    [
      "regularizers.0.weight=1",
      "--set regularizers.0.weight=1: regularizers has 0 entries, counted from 0, and none called 0",
    ],
    ["model.path=x", '--set model.path=x: model is "./model", it holds no keys'],
    ["train.steps", "--set train.steps: expected KEY=VALUE, as in --set train.steps=50"],
    ["train.steps=[", "--set train.steps=[: the value is not valid YAML: Flow sequence must end with a ]"],
  ])("--set %s", (set, expected) => {
    expect(complaint(REQUIRED, set)).toBe(expected);
  });

  test("a fault of the file is reported for the file, not for another --set", () => {
    expect(complaint(`${REQUIRED}train: { stepz: 1 }`, "lora.rank=4")).toBe(
      "config.yaml:3: unknown key `stepz` in train; did you mean `steps`?",
    );
  });

  test("a file that is no configuration at all", () => {
    expect(complaint("- a\n- b\n")).toBe(
      'config.yaml: the file is ["a","b"], expected a group of settings, such as { model: … }',
    );
    expect(complaint("hello\n", "train.steps=1")).toBe(
      'config.yaml: the file is "hello", expected a group of settings, such as { model: … }',
    );
    expect(complaint("")).toBe(
      [
        "the configuration has 2 errors:",
        "  config.yaml: `model` is missing: give the path of a Hugging Face model folder, or a name on the Hugging Face hub",
        "  config.yaml: `data` is missing: give a group of settings, such as { train: … }",
      ].join("\n"),
    );
  });

  test("a file that is not there", () => {
    expect(() => loadConfig(join(folder, "none.yaml"))).toThrow(
      /cannot read the configuration .*none\.yaml: there is no such file/,
    );
  });
});
