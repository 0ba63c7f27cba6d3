import { mkdirSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeSafetensors } from "../../src/data/safetensors.ts";
import { type Ended, FIXTURE, type Json, jsonLines, klamp, startKlamp, Workspace } from "./workspace.ts";

/** What is wrong: it prepares the workspace and says what the configuration has of its own. */
type Mistake = (workspace: Workspace) => Json | Promise<Json>;

/** A mistake, and the sentence it is answered with; `.` stands for the workspace. */
type Case = readonly [name: string, mistake: Mistake, sentence: string | RegExp];

/** One sentence on standard error, exit code 2, and every file as it was. */
function expectRefused({ code, out, err }: Ended, workspace: Workspace, before: Map<string, string>) {
  expect(err).toMatch(/^klamp: [^\n]+\n$/);
  expect([code, out]).toEqual([2, ""]);
  expect(workspace.everything()).toEqual(before);
  return err.slice("klamp: ".length, -1).replaceAll(workspace.folder, ".");
}

function refuses(cases: readonly Case[]) {
  test.each(cases)("%s", async (_, mistake, sentence) => {
    const workspace = new Workspace();
    const config = workspace.config(await mistake(workspace));
    const before = workspace.everything();
    const said = expectRefused(await klamp("train", "--config", config), workspace, before);
    if (typeof sentence === "string") expect(said).toBe(sentence);
    else expect(said).toMatch(sentence);
  });
}

/** A mistake in a copy of the model. */
function inModel(damage: (workspace: Workspace) => unknown): Mistake {
  return (workspace) => {
    workspace.copy("model");
    damage(workspace);
    return { model: "./model" };
  };
}

function withJson(file: string, changes: Json) {
  return (workspace: Workspace) => workspace.write(file, { ...workspace.json(file), ...changes });
}

describe("the model", () => {
  const weights = "model/model.safetensors";
  refuses([
    [
      "a folder that is missing",
      () => ({ model: "./nothing" }),
      "the model folder ./nothing does not exist, nor is it a hub name (ORG/NAME or ORG/NAME@REVISION); give a Hugging Face folder with config.json, model.safetensors and tokenizer.json, or such a name.",
    ],
    [
      "no model.safetensors",
      inModel((w) => rmSync(w.path(weights))),
      "cannot read ./model/model.safetensors: there is no such file; a safetensors file is expected there.",
    ],
    [
      "no config.json",
      inModel((w) => rmSync(w.path("model/config.json"))),
      "cannot read ./model/config.json: there is no such file; a model is a Hugging Face folder with config.json, model.safetensors and tokenizer.json.",
    ],
    [
      "no tokenizer.json",
      inModel((w) => rmSync(w.path("model/tokenizer.json"))),
      "cannot read ./model/tokenizer.json: there is no such file in the model folder",
    ],
    [
      "a config.json that is not JSON",
      inModel((w) => w.write("model/config.json", "{oops")),
      /config\.json is not valid JSON: /,
    ],
    [
      "a config.json of null",
      inModel((w) => w.write("model/config.json", "null")),
      /config\.json does not hold a JSON object/,
    ],
    [
      "a tokenizer of more tokens than the vocabulary",
      inModel((workspace) => {
        const { added_tokens } = workspace.json("model/tokenizer.json") as { added_tokens: Json[] };
        const extra = { ...added_tokens[0], id: 320, content: "<|extra|>" };
        withJson("model/tokenizer.json", { added_tokens: [...added_tokens, extra] })(workspace);
      }),
      "the tokenizer in ./model uses 321 token ids, the model's vocabulary has 320: use the tokenizer that belongs to the model",
    ],
    [
      "an architecture that is not supported",
      inModel(withJson("model/config.json", { architectures: ["GPT2LMHeadModel"] })),
      /names the architecture GPT2LMHeadModel; klamp's local engine supports .*LlamaForCausalLM/,
    ],
    [
      "weights that were cut off",
      inModel((w) => truncateSync(w.path(weights), 100_000)),
      /^\.\/model\/model\.safetensors ends before tensor \S+ does: it was cut off; fetch or write it again\.$/,
    ],
    [
      "weights that were cut off in their header",
      inModel((w) => truncateSync(w.path(weights), 100)),
      "./model/model.safetensors is not a safetensors file, or it was cut off in its header; fetch or write it again.",
    ],
    [
      "weights that Git LFS has not fetched",
      inModel((w) => w.write(weights, `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\n`)),
      "./model/model.safetensors is only Git LFS's pointer to the file; fetch the file itself with git lfs pull.",
    ],
    [
      "weights of another shape than config.json says",
      inModel(withJson("model/config.json", { hidden_size: 128 })),
      "./model/model.safetensors holds model.embed_tokens.weight with shape [320, 64], its config.json calls for [320, 128].",
    ],
    [
      "an index of shards that is broken",
      inModel((w) => {
        rmSync(w.path(weights));
        w.write("model/model.safetensors.index.json", "{}");
      }),
      /index\.json is not an index of shards, JSON with a weight_map/,
    ],
  ]);
});

describe("the data", () => {
  const train =
    (content: string): Mistake =>
    (w) => {
      w.write("train.jsonl", content);
      return {};
    };
  const question = (row: Json): Mistake => {
    return (w) => {
      w.write("questions.jsonl", jsonLines([{ prompt: "1", completion: "2" }, row]));
      return { evaluate: { skills: { asking: "./questions.jsonl" } } };
    };
  };
  refuses([
    [
      "a file that is missing",
      () => ({ data: { train: "./none.jsonl" } }),
      "cannot read ./none.jsonl: there is no such file",
    ],
    ["an empty file", train(""), "./train.jsonl: the file is empty: expected JSON Lines, one example a line"],
    [
      "a line that is not JSON",
      train('{"text": "fine"}\n{"text": oops}\n'),
      /^\.\/train\.jsonl:2: this line is not valid JSON \(.*\): each line must hold one whole object$/,
    ],
    [
      "a line of no format",
      train('{"question": "1", "answer": "2"}\n'),
      './train.jsonl:1: this line has the keys `question`, `answer`, expected one of {"messages"}, {"prompt", "completion"}, {"text"}, {"tokens", "weights"}, {"conversations"} or {"instruction", "input", "output"}',
    ],
    [
      "conversations for a model without a chat template",
      train(jsonLines([{ messages: [{ role: "assistant", content: "yes" }] }])),
      /^\.\/train\.jsonl:1: messages need a chat template, and \S+ has none/,
    ],
    [
      "a sequence longer than the model reads",
      train(jsonLines([{ text: "fine" }, { tokens: new Array(2049).fill(5) }])),
      "./train.jsonl:2: the sequence has 2049 tokens, the limit is 2048; shorten or split what is too long, or set data.too_long to truncate or drop",
    ],
    [
      "a sequence longer than the configuration allows",
      (w) => {
        train(jsonLines([{ tokens: [1, 2, 3, 4, 5] }, { tokens: [1, 2] }]))(w);
        return { data: { train: "./train.jsonl", max_length: 4 } };
      },
      /^\.\/train\.jsonl:1: the sequence has 5 tokens, the limit is 4; /,
    ],
    [
      "a token outside the vocabulary",
      train(jsonLines([{ tokens: [1, 320] }])),
      "./train.jsonl:1: token 1 has the id 320, the model's vocabulary has 320, ids 0 to 319",
    ],
    [
      "files whose pattern fits none",
      () => ({ data: { train: "./parts/*.jsonl" } }),
      "no file fits ./parts/*.jsonl: check the pattern, or name a file",
    ],
    [
      "a pair of answers",
      train(jsonLines([{ prompt: "1", chosen: "2", rejected: "3" }])),
      /^\.\/train\.jsonl:1: this line is a preference pair \(`chosen`, `rejected`\), and klamp learns from answers alone: /,
    ],
    [
      "validation data that is wrong",
      (w) => {
        w.write("valid.jsonl", '{"text": 1}\n');
        return { data: { train: "./train.jsonl", validation: "./valid.jsonl" } };
      },
      "./valid.jsonl:1: `text` is 1, expected text",
    ],
    [
      "a question longer than the model reads",
      question({ prompt: "1".repeat(3000), completion: "1" }),
      "./questions.jsonl:2: the prompt has 3000 tokens, the limit is 2017 when answers may have 32: shorten it, or lower evaluate.max_tokens",
    ],
    [
      "an answer longer than the model may give",
      question({ prompt: "1", completion: "1".repeat(50) }),
      "./questions.jsonl:2: the right answer has 51 tokens, the model may give 32: raise evaluate.max_tokens",
    ],
  ]);
});

describe("what holds the model", () => {
  const KL = { type: "kl_divergence", weight: 0.1 };
  const held = (settings: Json): Mistake => {
    return () => ({ regularizers: [{ ...KL, ...settings }] });
  };
  /** A reference file for the data, with another shape for one of its tensors. */
  const referenceFile = (shape: readonly number[] | null): Mistake => {
    return async (workspace) => {
      workspace.write("train.jsonl", jsonLines([{ tokens: [5, 6, 7] }, { tokens: [5, 6, 7, 8] }]));
      const tensor = (...shape: number[]) => ({ data: new Float32Array(shape.reduce((a, b) => a * b)), shape });
      const tensors = new Map([["0", tensor(2, 320)]]);
      if (shape) tensors.set("1", tensor(...shape));
      await writeSafetensors(workspace.path("base.safetensors"), tensors);
      return { regularizers: [{ ...KL, reference: { file: "./base.safetensors" } }] };
    };
  };
  const field = (rows: number, width: number): Mistake => {
    return (workspace) => {
      const base = Array.from({ length: rows }, () => new Array(width).fill(-Math.log(width)));
      workspace.write("train.jsonl", jsonLines([{ tokens: [5, 6, 7], base }]));
      return { regularizers: [{ ...KL, reference: { field: "base" } }] };
    };
  };
  refuses([
    [
      "a weight below 0",
      held({ weight: -0.1 }),
      "./config.yaml:1: regularizers.0.weight is -0.1, expected a finite number of at least 0",
    ],
    [
      "no reference",
      held({ reference: null }),
      "./config.yaml:1: regularizers.0.reference is null, expected base, start, { field: NAME }, { file: PATH }, { store: FOLDER }, { server: { url: URL, model: NAME } } or { synced: { every: STEPS } }",
    ],
    [
      "two references",
      held({ reference: { field: "base", file: "./base.safetensors" } }),
      "./config.yaml:1: regularizers.0.reference cannot have both `field` and `file`: remove one",
    ],
    [
      "a reference file of another shape",
      referenceFile([3, 300]),
      './base.safetensors holds tensor "1" with shape [3, 300], datum 1 (train.jsonl:2) needs log-probabilities of shape [3, 320], one row per token after the first.',
    ],
    [
      "a reference file that lacks a datum",
      referenceFile(null),
      './base.safetensors has no tensor "1", datum 1 (train.jsonl:2) needs log-probabilities of shape [3, 320], one row per token after the first.',
    ],
    [
      "a reference field that is missing",
      (w) => {
        w.write("train.jsonl", jsonLines([{ prompt: "1", completion: "2" }]));
        return held({ reference: { field: "base" } })(w);
      },
      /^\.\/train\.jsonl:1: the field `base` is missing, expected \[\d+, 320\], a vector for each token but the first$/,
    ],
    [
      "a reference field with too few rows",
      field(1, 320),
      "./train.jsonl:1: the field `base` has shape [1, 320], expected [2, 320], a vector for each token but the first",
    ],
    [
      "a reference field over another vocabulary",
      field(2, 300),
      "./train.jsonl:1: the field `base` has shape [2, 300], expected [2, 320], a vector for each token but the first",
    ],
    [
      "samples longer than the model reads",
      held({ text: { samples: 4, max_tokens: 5000 } }),
      "samples have max_tokens 5000, the model reads at most 2048: lower it, as in `text: { samples: 4, max_tokens: 2048 }`",
    ],
    [
      "an excluded token that the model does not have",
      held({ exclude_tokens: [2, 320] }),
      "the regularizer kl_divergence excludes token 320, the model's vocabulary has 320: give ids below that in exclude_tokens",
    ],
  ]);
});

test("samples, as when nothing is written, of a base that has no token to begin them with", async () => {
  const workspace = new Workspace();
  workspace.copy("model");
  withJson("model/tokenizer_config.json", { bos_token: null })(workspace);
  for (const name of ["config", "generation_config"]) withJson(`model/${name}.json`, { bos_token_id: null })(workspace);
  const config = workspace.config({ model: "./model", regularizers: [{}] });
  const before = workspace.everything();
  const { code, err } = await klamp("train", "--config", config);
  expect(code).toBe(2);
  expect(err.replaceAll(workspace.folder, ".")).toContain(
    "klamp: the tokenizer in ./model names no bos_token to begin samples of the base with: write `text: completions`, or `text: { file: PATH }` with texts of your own\n",
  );
  expect(workspace.everything()).toEqual(before);
  const completions = await klamp("train", "--config", config, "--set", "regularizers.0.text=completions");
  expect(completions.code).toBe(0);
});

test("what only the first step can find leaves nothing behind either", async () => {
  const workspace = new Workspace();
  workspace.write("train.jsonl", jsonLines([{ tokens: [5, 6] }]));
  const logits = { data: new Float32Array(320), shape: [1, 320] };
  await writeSafetensors(workspace.path("base.safetensors"), new Map([["0", logits]]));
  const config = workspace.config({ regularizers: [{ reference: { file: "./base.safetensors" } }] });
  const before = workspace.everything();
  const { code, err } = await klamp("train", "--config", config);
  expect(code).toBe(2);
  expect(err.replaceAll(workspace.folder, ".")).toContain(
    "the reference (./base.safetensors), datum 0 (train.jsonl:1), position 0: the probabilities sum to 320, expected 1 within 0.001",
  );
  expect(workspace.everything()).toEqual(before);
});

describe("the adapter to start from", () => {
  const start = (adapter: string, prepare: (workspace: Workspace) => unknown = () => {}): Mistake => {
    return (workspace) => {
      prepare(workspace);
      return { train: { steps: 2, adapter } };
    };
  };
  refuses([
    [
      "a folder that is missing",
      start("./none"),
      "train.adapter names the folder ./none, which does not exist, nor is it a hub name (ORG/NAME or ORG/NAME@REVISION); give a PEFT adapter folder, such a name, or null for a fresh one.",
    ],
    [
      "a folder that holds no adapter",
      start("./empty", (w) => mkdirSync(w.path("empty"))),
      "cannot read ./empty/adapter_config.json: there is no such file; an adapter is a PEFT folder with adapter_config.json and adapter_model.safetensors.",
    ],
    [
      "an adapter of a model with more layers",
      (workspace) => {
        const { model } = inModel(withJson("model/config.json", { num_hidden_layers: 1 }))(workspace) as Json;
        return { model, train: { adapter: join(FIXTURE, "adapter-init") } };
      },
      /holds \S+layers\.1\.\S+, which is not a LoRA matrix of this model; was the adapter made for another model\?$/,
    ],
    [
      "an adapter of another rank than it says",
      start("./adapter-init", (workspace) => {
        workspace.copy("adapter-init");
        withJson("adapter-init/adapter_config.json", { r: 4 })(workspace);
      }),
      /q_proj\.lora_A\.weight has shape \[8, 64\], this model and the adapter's settings need \[4, 64\]; was the adapter made for another model\?$/,
    ],
    [
      "an adapter that was cut off",
      start("./adapter-init", (w) => {
        w.copy("adapter-init");
        truncateSync(w.path("adapter-init/adapter_model.safetensors"), 5000);
      }),
      /^\.\/adapter-init\/adapter_model\.safetensors ends before tensor \S+ does: it was cut off/,
    ],
    [
      "another rank than the adapter's",
      () => ({ lora: { rank: 4 }, train: { adapter: join(FIXTURE, "adapter-init") } }),
      "lora.rank is 4, but the adapter that training starts from has 8: remove lora.rank",
    ],
  ]);
});

describe("the run folder", () => {
  refuses([
    [
      "one that exists",
      (w) => {
        w.write("run/metrics.jsonl", '{"step":1}\n');
        return {};
      },
      "the run folder ./run exists already, and klamp writes over nothing: choose another (--set output=./run-2) or move it away",
    ],
    [
      "one below a file",
      () => ({ output: "./train.jsonl/run" }),
      "cannot create the run folder ./train.jsonl/run: ./train.jsonl is no folder; choose another place (--set output=PATH)",
    ],
  ]);
});

describe("the configuration", () => {
  const YAML = `model: ${join(FIXTURE, "model")}
data: { train: ./train.jsonl }
train: { steps: 2 }
optimizer:
  learning_rate: 1.0e-3
output: ./run
`;
  test.each([
    [
      "optimizer:\n  learning_rat: 1.0e-3\n",
      "./config.yaml:5: unknown key `learning_rat` in optimizer; did you mean `learning_rate`?",
    ],
    ["optimiser:\n  learning_rate: 1.0e-3\n", "./config.yaml:4: unknown key `optimiser`; did you mean `optimizer`?"],
    [
      "optimizer:\n  learning_rate: fast\n",
      './config.yaml:5: optimizer.learning_rate is "fast", expected a finite number of at least 0',
    ],
    [
      "regularizers:\n  - type: kl_divergence\n    weight: .nan\n",
      "./config.yaml:6: regularizers.0.weight is NaN, expected a finite number of at least 0, or what moves it, such as { budget: 0.1 } or { schedule: linear, to: 0.5, steps: 100 }",
    ],
    [
      "regularizers:\n  - { type: kl_divergence, weight: .inf }\n",
      "./config.yaml:5: regularizers.0.weight is Infinity, expected a finite number of at least 0, or what moves it, such as { budget: 0.1 } or { schedule: linear, to: 0.5, steps: 100 }",
    ],
  ])("%j", async (part, sentence) => {
    const workspace = new Workspace();
    const config = workspace.write("config.yaml", YAML.replace(/optimizer:\n.*\n/, part));
    const before = workspace.everything();
    expect(expectRefused(await klamp("train", "--config", config), workspace, before)).toBe(sentence);
  });
});

test("the process itself ends with code 2 and one sentence", async () => {
  const workspace = new Workspace();
  workspace.write("run/adapter/adapter_config.json", "precious");
  const config = workspace.config();
  const before = workspace.everything();
  const said = expectRefused(await startKlamp("train", "--config", config).ended, workspace, before);
  expect(said).toMatch(/^the run folder \.\/run exists already/);
});

test("the quickstart writes over nothing either, wherever the folder is given from", async () => {
  const workspace = new Workspace();
  workspace.write("mine/report.html", "precious");
  const before = workspace.everything();
  const ended = await klamp("quickstart", "--output", workspace.path("mine"));
  expect(expectRefused(ended, workspace, before)).toMatch(/^the run folder \.\/mine exists already/);
});
