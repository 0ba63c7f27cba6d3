import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { UserError } from "../../src/common/errors.ts";
import { exampleConfig } from "../../src/config/example.ts";
import { loadConfig } from "../../src/config/file.ts";
import { keysOf, nodesAt, toTree } from "../../src/config/json-schema.ts";
import { KINDS } from "../../src/config/regularizers/index.ts";
import { configSchema, type LoraConfig, type ResolvedLora, resolveLora } from "../../src/config/schema.ts";
import { PROJECTIONS } from "../../src/model/lora.ts";

const tree = toTree(configSchema);

describe("LoRA's settings", () => {
  const unwritten: LoraConfig = {
    rank: null,
    alpha: null,
    target_modules: null,
    use_rslora: null,
    dropout: null,
    rank_pattern: null,
    alpha_pattern: null,
    layers_to_transform: null,
  };
  const adapter: ResolvedLora = {
    rank: 4,
    alpha: 4,
    target_modules: ["q_proj", "v_proj"],
    use_rslora: true,
    dropout: 0,
  };

  test("are the defaults, what is written, or the adapter's", () => {
    expect(resolveLora(unwritten)).toEqual({
      rank: 8,
      alpha: 16,
      target_modules: "all-linear",
      use_rslora: false,
      dropout: 0,
    });
    expect(resolveLora({ ...unwritten, rank: 2 })).toMatchObject({ rank: 2, alpha: 4 });
    expect(resolveLora({ ...unwritten, rank: 2, alpha: 16 })).toMatchObject({ rank: 2, alpha: 16 });
    expect(resolveLora(unwritten, adapter)).toEqual(adapter);
  });

  test("may be written beside an adapter that agrees", () => {
    const written: LoraConfig = {
      ...unwritten,
      rank: 4,
      alpha: 4,
      target_modules: ["v_proj", "q_proj"],
      use_rslora: true,
    };
    expect(resolveLora(written, adapter)).toEqual(adapter);
    const all = { ...adapter, target_modules: [...PROJECTIONS].reverse() };
    expect(resolveLora({ ...unwritten, target_modules: "all-linear" }, all)).toEqual(all);
  });

  test.each<[Partial<LoraConfig>, string]>([
    [{ rank: 8 }, "lora.rank is 8, but the adapter that training starts from has 4: remove lora.rank"],
    [
      { use_rslora: false },
      "lora.use_rslora is false, but the adapter that training starts from has true: remove lora.use_rslora",
    ],
    [
      { target_modules: "all-linear" },
      'lora.target_modules is all-linear, but the adapter that training starts from has ["q_proj","v_proj"]: remove lora.target_modules',
    ],
  ])("%j disagrees with the adapter", (written, expected) => {
    expect(() => resolveLora({ ...unwritten, ...written }, adapter)).toThrow(new UserError(expected));
  });
});

describe("the example", () => {
  test("is a configuration that says the defaults", () => {
    const file = join(mkdtempSync(join(tmpdir(), "klamp-config-")), "config.yaml");
    writeFileSync(file, exampleConfig());
    const { lora, regularizers, ...config } = loadConfig(file);
    writeFileSync(
      file,
      "model: ./models/base\ndata: { train: ./train.jsonl, validation: ./valid.jsonl }\nregularizers: [{}]\nevaluate: { task: ./test.jsonl, skills: { capitals: ./capitals.jsonl } }\n",
    );
    const { lora: unwritten, regularizers: held, ...defaults } = loadConfig(file);
    expect(config).toEqual(defaults);
    expect(regularizers).toEqual(held);
    const written = Object.entries(lora).filter(([, value]) => value !== null);
    expect(Object.fromEntries(written)).toEqual(resolveLora(unwritten));
  });

  test("has every key of the schema, each with its meaning", () => {
    const example: unknown = parse(exampleConfig());
    expect(Object.keys(example as object)).toEqual(keysOf([tree]));
    // What goes on below a key, and what is shared.
    const continued = /^ *# {3,}/;
    const asAbove = /^ {2}# {3}and, as above: /;
    const lines = exampleConfig()
      .split("\n")
      .filter((line) => line !== "" && !asAbove.test(line) && !continued.test(line.replace(/^ {2}#/, "   ")))
      .filter((line) => !/^ +# /.test(line.replace(/^ {2}#/, "   ")));
    expect(lines.length).toBeGreaterThan(60);
    for (const line of lines) expect(line).toMatch(/\S: ?.* # \S/);
  });

  test("fits 100 columns", () => {
    for (const line of exampleConfig().split("\n")) expect(line.length, line).toBeLessThanOrEqual(100);
  });

  test("shows every kind of regularizer, the first in use, the others as alternatives", () => {
    const kinds = exampleConfig()
      .split(/^ {2}(?:# )?- type: /m)
      .slice(1)
      .map((kind) => kind.split("\n\n")[0]!);
    expect(kinds.map((kind) => kind.split(" ")[0])).toEqual(KINDS.map(({ type }) => type));
    for (const [i, { type }] of KINDS.entries()) {
      const keys = keysOf(nodesAt(tree, ["regularizers", 0], { regularizers: [{ type }] }));
      expect(keys).toContain("weight");
      for (const key of keys.slice(1)) expect(kinds[i]).toMatch(new RegExp(`\\b${key}\\b`));
    }
  });

  test("says of every other kind what holds for it unless set", () => {
    const { regularizers: _, ...rest } = parse(exampleConfig()) as Record<string, unknown>;
    const read = (entry: unknown) => configSchema.parse({ ...rest, regularizers: [entry] }).regularizers[0];
    const [, ...kinds] = exampleConfig().split(/^ {2}# - type: /m);
    for (const kind of kinds) {
      const type = kind.split(" ")[0]!;
      const own = kind.split("\n").flatMap((line) => /^ {2}# {3}(\w+: .*)$/.exec(line)?.[1] ?? []);
      const keys = (parse(own.join("\n")) ?? {}) as object;
      expect(read({ type, ...keys })).toEqual(read({ type }));
    }
    expect(kinds).toHaveLength(KINDS.length - 1);
  });
});
