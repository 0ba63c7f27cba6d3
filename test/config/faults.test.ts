import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { loadConfig } from "../../src/config/file.ts";
import { toTree } from "../../src/config/json-schema.ts";
import { configSchema } from "../../src/config/schema.ts";
import { explainUnknownKey } from "../../src/config/unknown-key.ts";

/** @file All that is wrong with a configuration is told at once, and keys of other tools are answered with klamp's. */

const folder = mkdtempSync(join(tmpdir(), "klamp-faults-"));
const file = join(folder, "config.yaml");
const REQUIRED = "model: ./model\ndata: { train: ./train.jsonl }\n";

function faults(yaml: string, ...sets: string[]): string[] {
  writeFileSync(file, REQUIRED + yaml);
  try {
    loadConfig(file, sets);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message.replaceAll(`${folder}/`, "").split("\n");
  }
  throw new Error("the configuration was accepted");
}

const tree = toTree(configSchema);
const answer = (key: string, ...path: (string | number)[]) => explainUnknownKey(key, path, tree).message;

describe("several faults", () => {
  test("are told together, unknown keys first, each with its line", () => {
    const yaml = `train:
  steps: 3
  epochs: 2
  seed: one
regularizers:
  - { weight: -1, beta: 0.1 }
  - type: entropy
    txt: completions
  - { reference: start }
optimizer: { schedule: step, lr: 1 }
`;
    expect(faults(yaml)).toEqual([
      "the configuration has 8 errors:",
      "  config.yaml:8: unknown key `beta` in regularizers.0; write `weight` (`beta` is a setting of jensen_shannon alone)",
      "  config.yaml:10: unknown key `txt` in regularizers.1; did you mean `text`?",
      "  config.yaml:12: unknown key `lr` in optimizer; write `learning_rate`",
      "  config.yaml:5: train.epochs: give train.steps or train.epochs, not both: remove one",
      '  config.yaml:6: train.seed is "one", expected a whole number of at least 0',
      "  config.yaml:8: regularizers.0.weight is -1, expected a finite number of at least 0",
      "  config.yaml:11: regularizers.2.reference: it is the adapter that training starts from, and there is none: set train.adapter, or use `reference: base`",
      '  config.yaml:12: optimizer.schedule is "step", expected constant, linear or cosine',
    ]);
  });

  test("of overrides and of the file are told together", () => {
    expect(faults("train: { steps: 0 }", "train.stps=3", "train.seed", "lora.rank=0", "optimizer.eps=[")).toEqual([
      "the configuration has 5 errors:",
      "  --set train.stps=3: unknown key `stps` in train; did you mean `steps`?",
      "  config.yaml:3: train.steps is 0, expected a whole number of at least 1",
      "  --set train.seed: expected KEY=VALUE, as in --set train.steps=50",
      "  --set optimizer.eps=[: the value is not valid YAML: Flow sequence must end with a ]",
      "  --set lora.rank=0: lora.rank is 0, expected a whole number of at least 1",
    ]);
  });

  test("are told up to ten", () => {
    const keys = Array.from({ length: 13 }, (_, i) => `unknown_${i}: ${i}\n`);
    const [first, ...told] = faults(keys.join(""));
    expect(first).toBe("the configuration has 13 errors:");
    expect(told).toHaveLength(11);
    expect(told[9]).toContain("config.yaml:12: unknown key `unknown_9`; it takes model, data,");
    expect(told[10]).toBe("  and 3 more");
  });

  test("of one alternative are told, and a typo is not also told as a missing key", () => {
    expect(faults("regularizers: [{ text: { samples: 0, max_tokens: 0, temprature: 1 } }]")).toEqual([
      "the configuration has 3 errors:",
      "  config.yaml:3: unknown key `temprature` in regularizers.0.text; did you mean `temperature`?",
      "  config.yaml:3: regularizers.0.text.samples is 0, expected a whole number of at least 1",
      "  config.yaml:3: regularizers.0.text.max_tokens is 0, expected a whole number of at least 1",
    ]);
    expect(faults("regularizers: [{ reference: { server: { ulr: 'http://a', model: b } } }]")).toEqual([
      "config.yaml:3: unknown key `ulr` in regularizers.0.reference.server; did you mean `url`?",
    ]);
  });

  test("two regularizers of one name are one", () => {
    expect(faults("regularizers: [{ name: a }, {}, { name: a }]")).toEqual([
      "config.yaml:3: regularizers.2.name: another regularizer is named a: names tell their metrics apart, give each its own",
    ]);
  });
});

describe("earlier names are refused with the new one", () => {
  test.each([
    [
      "{ on: completions }",
      "unknown key `on` in regularizers.0; write `text` (renamed, since YAML 1.1 reads `on` as true)",
    ],
    // What PyYAML writes after it has read `on: completions`.
    [
      "{ true: completions }",
      "unknown key `true` in regularizers.0; write `text` (it was `on`, which YAML 1.1 reads as true)",
    ],
    ["{ text: { samples: 8, rows: 4 } }", "unknown key `rows` in regularizers.0.text; write `batch_size` (renamed)"],
    ["{ text: [{ file: a, rows: 4 }] }", "unknown key `rows` in regularizers.0.text.0; write `batch_size` (renamed)"],
    [
      "{ reference: { moving: { every: 5 } } }",
      "unknown key `moving` in regularizers.0.reference; write `synced` (renamed)",
    ],
  ])("%s", (written, expected) => {
    expect(faults(`regularizers: [${written}]`)).toEqual([`config.yaml:3: ${expected}`]);
  });

  test("in an override too", () => {
    expect(faults("regularizers: [{}]", "regularizers.0.on=completions")).toEqual([
      "--set regularizers.0.on=completions: unknown key `on` in regularizers.0; write `text` (renamed, since YAML 1.1 reads `on` as true)",
    ]);
  });
});

describe("keys of other tools are answered with klamp's", () => {
  test.each([
    ["lr", "optimizer.learning_rate"],
    ["lr_scheduler_type", "optimizer.schedule"],
    ["warmup_ratio", "optimizer.warmup_steps"],
    ["max_grad_norm", "optimizer.grad_clip"],
    ["adam_epsilon", "optimizer.eps"],
    ["r", "lora.rank"],
    ["lora_r", "lora.rank"],
    ["lora_alpha", "lora.alpha"],
    ["lora_target_modules", "lora.target_modules"],
    ["beta", "regularizers.0.weight"],
    ["kl_coef", "regularizers.0.weight"],
    ["kl_beta", "regularizers.0.weight"],
    ["init_kl_coef", "regularizers.0.weight"],
    ["target_kl", "regularizers.0.weight"],
    ["reference_model", "regularizers.0.reference"],
    ["ref_model", "regularizers.0.reference"],
    ["per_device_train_batch_size", "train.batch_size"],
    ["max_seq_length", "data.max_length"],
    ["max_length", "data.max_length"],
    ["num_train_epochs", "train.epochs"],
    ["max_steps", "train.steps"],
    ["model_name_or_path", "model"],
    ["dataset", "data.train"],
    ["output_dir", "output"],
  ])("%s: %s", (key, klamp) => {
    // At the top, and in any other group, the whole path; beside the key that is meant, its name.
    expect(answer(key)).toContain(`unknown key \`${key}\`; write \`${klamp}\``);
    expect(answer(key, "engine")).toContain(`unknown key \`${key}\` in engine; write \`${klamp}\``);
    const [group, ...rest] = klamp.split(".");
    if (rest.length === 1 && rest[0] !== key)
      expect(answer(key, group!)).toContain(`in ${group}; write \`${rest[0]}\``);
  });

  test("of a regularizer in the regularizer that they are written in", () => {
    expect(answer("kl_coef", "regularizers", 2)).toBe("unknown key `kl_coef` in regularizers.2; write `weight`");
    expect(answer("ref_model", "regularizers", 2, "text")).toContain("; write `regularizers.2.reference`");
  });

  test.each(["learning_rate", "warmup_steps", "target_modules", "seed", "batch_size", "epochs", "weight", "adapter"])(
    "%s in another group is answered with its own",
    (key) => {
      const place = {
        learning_rate: "optimizer",
        warmup_steps: "optimizer",
        target_modules: "lora",
        weight: "regularizers.0",
      };
      const home = place[key as keyof typeof place] ?? "train";
      expect(answer(key, "engine")).toBe(`unknown key \`${key}\` in engine; did you mean \`${home}.${key}\`?`);
    },
  );

  test.each([
    ["gradient_accumulation_steps", "klamp splits a batch into parts by itself, raise train.batch_size instead"],
    ["use_dora", "klamp does not support DoRA yet, remove it"],
  ])("%s is not needed, or not there", (key, why) => {
    expect(answer(key, "train")).toBe(`unknown key \`${key}\` in train; ${why}`);
  });

  test("but a typo is one", () => {
    expect(answer("beta", "optimizer")).toContain("did you mean `betas`?");
    expect(answer("mode")).toContain("did you mean `model`?");
  });
});

describe("directions", () => {
  const read = (direction: string, type = "kl_divergence") => {
    writeFileSync(file, `${REQUIRED}regularizers: [{ type: ${type}, direction: ${direction} }]`);
    return loadConfig(file).regularizers[0];
  };

  test.each([
    ["reference||model", "reference||model"],
    ["model||reference", "model||reference"],
    ['"model||reference"', "model||reference"],
    ["forward", "model||reference"],
    ["reverse", "reference||model"],
  ])("%s is kept as %s", (written, direction) => {
    expect(read(written)).toMatchObject({ direction });
  });

  test("of consistency are between the model and a view", () => {
    expect(read("forward", "consistency")).toMatchObject({ direction: "model||view" });
    expect(read("view||model", "consistency")).toMatchObject({ direction: "view||model" });
    expect(faults("regularizers: [{ type: consistency, direction: model||reference }]")[0]).toContain(
      "expected view||model or model||view",
    );
  });

  test("as messages quote them come through a shell", () => {
    const [said] = faults("regularizers: [{ direction: both }]");
    const [quoted] = /--set '[^']+'/.exec(said!)!;
    const args = execFileSync("bash", ["-c", `printf '%s\\n' ${quoted}`], { encoding: "utf8" })
      .trimEnd()
      .split("\n");
    expect(args[0]).toBe("--set");
    writeFileSync(file, `${REQUIRED}regularizers: [{}]`);
    expect(loadConfig(file, [args[1]!]).regularizers[0]).toMatchObject({ direction: "model||reference" });
  });
});
