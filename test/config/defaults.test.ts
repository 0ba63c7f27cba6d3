import { describe, expect, test } from "vitest";
import { alternatives, entriesOf, type Node, toTree } from "../../src/config/json-schema.ts";
import { KINDS, regularizer } from "../../src/config/regularizers/index.ts";
import { configSchema, resolveLora } from "../../src/config/schema.ts";
import { DATASET_DEFAULTS } from "../../src/data/too-long.ts";
import { ADAMW_DEFAULTS } from "../../src/model/adamw.ts";
import { BASE_SAMPLE_DEFAULTS } from "../../src/model/base-samples.ts";
import { LORA_DEFAULTS, loraSettings, PROJECTIONS, TINKER_LORA_DEFAULTS } from "../../src/model/lora.ts";
import { ANCHOR_DEFAULTS, CHECKPOINT_DEFAULTS, EVALUATION_DEFAULTS, TRAIN_DEFAULTS } from "../../src/model/training.ts";
import { FIELD_DEFAULTS } from "../../src/reference/normalize-rows.ts";
import { SERVER_DEFAULTS } from "../../src/reference/server/defaults.ts";
import { STORE_DEFAULTS } from "../../src/reference/store/defaults.ts";
import { ELASTIC_NET_DEFAULTS } from "../../src/regularizer/adapter/elastic-net.ts";
import { ORTHOGONALITY_DEFAULTS } from "../../src/regularizer/adapter/orthogonality.ts";
import { NOISE_DEFAULTS } from "../../src/regularizer/augmentation.ts";
import { ADAPTIVE_DEFAULTS } from "../../src/regularizer/coefficients/adaptive.ts";
import { BUDGET_DEFAULTS } from "../../src/regularizer/coefficients/budget.ts";
import { RAMP_DEFAULTS } from "../../src/regularizer/coefficients/schedules.ts";
import { CONSISTENCY_DEFAULTS } from "../../src/regularizer/consistency.ts";
import { ENTROPY_DEFAULTS } from "../../src/regularizer/entropy.ts";
import { JENSEN_SHANNON_DEFAULTS } from "../../src/regularizer/jensen-shannon.ts";
import { KL_DIVERGENCE_DEFAULTS } from "../../src/regularizer/kl-divergence.ts";

/** @file Every key of a configuration has the default of the function that takes it: one for every door. */

/** The constants that hold where no configuration is read, by the group or the type of the regularizer that they are of. */
const CONSTANTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  data: DATASET_DEFAULTS,
  train: { ...TRAIN_DEFAULTS, ...CHECKPOINT_DEFAULTS },
  optimizer: ADAMW_DEFAULTS,
  evaluate: EVALUATION_DEFAULTS,
  kl_divergence: KL_DIVERGENCE_DEFAULTS,
  jensen_shannon: JENSEN_SHANNON_DEFAULTS,
  entropy: ENTROPY_DEFAULTS,
  consistency: { ...NOISE_DEFAULTS, ...CONSISTENCY_DEFAULTS },
  orthogonality: ORTHOGONALITY_DEFAULTS,
  l1: ELASTIC_NET_DEFAULTS,
  l2: ELASTIC_NET_DEFAULTS,
  elastic_net: ELASTIC_NET_DEFAULTS,
  "weight: adaptive": ADAPTIVE_DEFAULTS,
  "weight: budget": BUDGET_DEFAULTS,
  "weight: linear": RAMP_DEFAULTS,
  "text: samples": { ...ANCHOR_DEFAULTS, ...BASE_SAMPLE_DEFAULTS },
  "text: file": ANCHOR_DEFAULTS,
  "reference: field": FIELD_DEFAULTS,
  "reference: file": FIELD_DEFAULTS,
  "reference: store": STORE_DEFAULTS,
  "reference: store hidden": STORE_DEFAULTS,
  // In milliseconds where a function takes it.
  "reference: server": { ...SERVER_DEFAULTS, timeout: SERVER_DEFAULTS.timeout / 1000 },
};

/** Keys whose default stands in no constant, each with the reason. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  model: "required",
  regularizers: "none",
  "data.train": "required",
  "data.validation": "none",
  "evaluate.every": "never",
  "evaluate.best": "none",
  "evaluate.patience": "never",
  "evaluate.max_drift": "never",
  "train.save_every": "two, of which the first that is due holds: steps and seconds of CHECKPOINT_DEFAULTS",
  "data.chat_template": "the model's",
  "data.template_kwargs": "none",
  "data.system_prompt": "none",
  "data.max_length": "the model's",
  // Unset, since an adapter to start from decides; resolveLora is compared below.
  "lora.rank": "resolveLora",
  "lora.alpha": "resolveLora",
  "lora.target_modules": "resolveLora",
  "lora.use_rslora": "resolveLora",
  "lora.dropout": "resolveLora",
  "lora.rank_pattern": "none",
  "lora.alpha_pattern": "none",
  "lora.layers_to_transform": "all",
  "train.steps": "unset, since epochs may be given; compared below",
  "train.epochs": "unset, for steps",
  "train.adapter": "none",
  "train.worst_tokens": "of the command line alone",
  "evaluate.task": "none",
  "evaluate.skills": "none",
  "engine.type": "the only one",
  "engine.threads": "all cores, as the engine's",
  output: "of the command line alone",
  "weight: adaptive.target": "required",
  "weight: budget.budget": "required",
  "weight: budget.rate": "depends on the update",
  "weight: linear.to": "required",
  "weight: linear.steps": "required",
  "weight: warmup.to": "required",
  "weight: warmup.steps": "required",
  "weight: constant.value": "required",
  "weight: piecewise.points": "required",
  "text: samples.samples": "required where it is written; that of none written is compared below",
  "text: samples.seed": "train.seed",
  "text: samples.refresh_every": "never",
  "text: file.file": "required",
  "reference: field.field": "required",
  "reference: file.file": "required",
  "reference: store.store": "required",
  "reference: store hidden.store": "required",
  "reference: store hidden.kind": "required for this kind",
  "reference: server.url": "required",
  "reference: server.model": "required",
  "reference: server.api_key_env": "none",
  "reference: synced.every": "required",
  "consistency.seed": "train.seed",
  "consistency.view": "required",
};

/** What every regularizer has, and the library takes elsewhere. */
const OF_ALL = ["type", "name", "exclude_tokens", "text", "reference"];

/** What a key is set to where it is left out, as the library writes it. */
function defaultOf(key: string, node: Node): unknown {
  return key === "clip" && node.default === null ? Number.POSITIVE_INFINITY : node.default;
}

/** The keys of a group, by `GROUP.KEY`. */
function keysIn(group: string, node: Node): [name: string, key: string, node: Node][] {
  return entriesOf(node).map(([key, below]) => [`${group}.${key}`, key, below]);
}

const tree = toTree(configSchema);
const regularizers = toTree(regularizer).oneOf as Node[];
const [kl] = regularizers as [Node];
const of = (key: string) =>
  alternatives((kl.properties as Record<string, Node>)[key]!).filter((node) => node.properties);
const named = (prefix: string, nodes: readonly Node[], nameOf: (node: Node) => string) =>
  nodes.map((node) => [`${prefix}: ${nameOf(node)}`, node] as const);
const words = (node: Node, key: string) => {
  const word = node.properties?.[key] as Node | undefined;
  return word && String(word.const ?? word.enum?.[0]);
};

const GROUPS: (readonly [string, Node])[] = [
  ...entriesOf(tree).filter(([, node]) => node.properties),
  ...regularizers.map((node) => [words(node, "type")!, node] as const),
  ...named("weight", of("weight"), (node) => words(node, "schedule") ?? words(node, "controller") ?? "budget"),
  ...named("text", of("text"), (node) => entriesOf(node)[0]![0]),
  ...named("reference", of("reference"), (node) => {
    const [[key]] = entriesOf(node) as [[string, Node]];
    return words(node, "kind") === "hidden" ? `${key} hidden` : key;
  }).map(([name, node]): readonly [string, Node] => {
    // `server` and `synced` hold a group of their own.
    const inner = entriesOf(node)[0]![1];
    return [name, inner.properties ? inner : node];
  }),
];

const KEYS = [
  ...entriesOf(tree).flatMap(([key, node]): [string, string, Node][] => (node.properties ? [] : [[key, key, node]])),
  ...GROUPS.flatMap(([group, node]) => keysIn(group, node)),
];

test("the groups are those of the schema", () => {
  expect(GROUPS.slice(0, 6).map(([name]) => name)).toEqual([
    "data",
    "lora",
    "train",
    "optimizer",
    "evaluate",
    "engine",
  ]);
  const types = KINDS.map(({ type }) => type);
  expect(GROUPS.slice(6, 6 + types.length).map(([name]) => name)).toEqual(types);
  const rest = GROUPS.slice(6 + types.length).map(([name]) => name);
  expect(new Set(rest).size).toBe(10 + 4);
  for (const name of Object.keys(CONSTANTS)) expect(GROUPS.map(([group]) => group)).toContain(name);
});

test.each(KEYS)("%s", (name, key, node) => {
  const group = name.slice(0, Math.max(0, name.lastIndexOf(".")));
  const constants = CONSTANTS[group] ?? {};
  if (Object.hasOwn(ELSEWHERE, name)) return;
  if (KINDS.some(({ type }) => type === group) && OF_ALL.includes(key)) return;
  if (group.startsWith("weight: ") && ["schedule", "controller"].includes(key)) return;
  const inCode = key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const found = Object.hasOwn(constants, key) ? key : inCode;
  expect(Object.keys(constants), `the default of ${name} is compared with nothing`).toContain(found);
  expect(constants[found]).toEqual(defaultOf(key, node));
});

test("the keys without a constant are keys of the schema", () => {
  const known = KEYS.map(([name]) => name);
  for (const name of Object.keys(ELSEWHERE)) expect(known).toContain(name);
});

describe("what is decided when a configuration is read", () => {
  const config = configSchema.parse({ model: "m", data: { train: "t" }, regularizers: [{}] });

  test("steps", () => {
    expect(config.train.steps).toBe(TRAIN_DEFAULTS.steps);
  });

  test("the text of a KL divergence", () => {
    const { samples, max_tokens, temperature } = BASE_SAMPLE_DEFAULTS;
    const text = { samples, max_tokens, temperature, batch_size: ANCHOR_DEFAULTS.batchSize };
    expect(config.regularizers[0]).toMatchObject({ text });
  });

  test("LoRA, as in code; alpha is 2 · rank", () => {
    for (const rank of [LORA_DEFAULTS.rank, 3]) {
      const { target_modules, ...resolved } = resolveLora({ ...config.lora, rank });
      expect(target_modules).toBe(LORA_DEFAULTS.target_modules);
      expect({ ...resolved, target_modules: PROJECTIONS }).toEqual(loraSettings({ rank }));
      expect(resolved.alpha).toBe(2 * rank);
    }
    expect(LORA_DEFAULTS.seed).toBe(TRAIN_DEFAULTS.seed);
    expect([BASE_SAMPLE_DEFAULTS.seed, ANCHOR_DEFAULTS.seed]).toEqual([TRAIN_DEFAULTS.seed, TRAIN_DEFAULTS.seed]);
    expect(CONSISTENCY_DEFAULTS.seed).toBe(TRAIN_DEFAULTS.seed);
  });

  test("but what Tinker's wire does not say is Tinker's own", () => {
    expect([TINKER_LORA_DEFAULTS.rank, TINKER_LORA_DEFAULTS.alpha]).toEqual([32, 32]);
  });
});
