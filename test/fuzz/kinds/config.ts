import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { exampleConfig } from "../../../src/config/example.ts";
import { loadConfig, stringifyConfig } from "../../../src/config/file.ts";
import type { FuzzKind } from "../kind.ts";
import { hostile, mutateText, mutateTree } from "../mutate.ts";

const REGULARIZERS = [
  { type: "kl_divergence", weight: { budget: 0.1 }, text: { samples: 20, max_tokens: 8, temperature: 1 } },
  { type: "jensen_shannon", name: "js", beta: 0.5, weight: { schedule: "linear", to: 0.5, steps: 10 } },
  { type: "entropy", mode: "bonus", temperature: 1, exclude_tokens: [1, 2] },
  { type: "consistency", name: "c", weight: { controller: "adaptive", target: 0.1 } },
  { type: "elastic_net", weight: 0.1, l1_ratio: 0.5 },
  {
    type: "kl_divergence",
    name: "server",
    text: "completions",
    reference: { server: { url: "http://127.0.0.1:8000", model: "base", k: 20 } },
  },
  { type: "kl_divergence", name: "store", reference: { store: "./store", kind: "top-k", k: 8 } },
];

/** Configurations, with overrides. */
export const config: FuzzKind = {
  name: "config",
  share: 14,
  open: async (folder) => {
    const path = join(folder, "config.yaml");
    const tree = { ...(parse(exampleConfig()) as object), regularizers: REGULARIZERS };
    const text = stringify(tree);
    return (choices) => {
      const changed = choices.chance(0.6) ? toYaml(mutateTree(tree, choices)) : text;
      writeFileSync(path, choices.chance(0.5) ? mutateText(changed, choices) : changed);
      const key = choices.of([
        "train.steps",
        "lora.rank",
        "regularizers.0.weight",
        "data",
        "a.b",
        "regularizers.9.x",
        "",
      ]);
      const value = choices.of([
        "*a",
        "&a [*a]",
        "[",
        "1",
        "{ a: 1 }",
        String(hostile(choices)),
        "!!x 1",
        "{ file: x }",
      ]);
      stringifyConfig(loadConfig(path, choices.chance(0.3) ? [`${key}=${value}`] : []));
    };
  },
};

/** Deep values are JSON, which is YAML as well: the library that writes YAML takes fewer levels than its reader. */
function toYaml(tree: unknown): string {
  try {
    return stringify(tree);
  } catch {
    return JSON.stringify(tree);
  }
}
