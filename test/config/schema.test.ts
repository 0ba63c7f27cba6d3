import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { UserError } from "../../src/common/errors.ts";
import { exampleConfig } from "../../src/config/example.ts";
import { loadConfig } from "../../src/config/file.ts";
import { regularizer } from "../../src/config/regularizers/index.ts";
import {
  configSchema,
  LORA_DEFAULTS,
  type LoraConfig,
  type LoraSettings,
  resolveLora,
} from "../../src/config/schema.ts";
import { PROJECTIONS } from "../../src/model/lora.ts";

describe("LoRA's settings", () => {
  const unwritten: LoraConfig = { rank: null, alpha: null, target_modules: null, use_rslora: null };
  const adapter: LoraSettings = { rank: 4, alpha: 4, target_modules: ["q_proj", "v_proj"], use_rslora: true };

  test("are the defaults, what is written, or the adapter's", () => {
    expect(resolveLora(unwritten)).toEqual({ rank: 8, alpha: 16, target_modules: "all-linear", use_rslora: false });
    expect(resolveLora({ ...unwritten, rank: 2 })).toEqual({ ...LORA_DEFAULTS, rank: 2 });
    expect(resolveLora(unwritten, adapter)).toEqual(adapter);
  });

  test("may be written beside an adapter that agrees", () => {
    const written: LoraConfig = { rank: 4, alpha: 4, target_modules: ["v_proj", "q_proj"], use_rslora: true };
    expect(resolveLora(written, adapter)).toEqual(adapter);
    const all = { ...adapter, target_modules: [...PROJECTIONS].reverse() };
    expect(resolveLora({ ...unwritten, target_modules: "all-linear" }, all)).toEqual(all);
  });

  test.each<[Partial<LoraConfig>, string]>([
    [{ rank: 8 }, "lora.rank is 8, but the adapter that training starts from has 4: take lora.rank out"],
    [
      { use_rslora: false },
      "lora.use_rslora is false, but the adapter that training starts from has true: take lora.use_rslora out",
    ],
    [
      { target_modules: "all-linear" },
      "lora.target_modules is all-linear, but the adapter that training starts from has q_proj,v_proj: take lora.target_modules out",
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
    expect(lora).toEqual(resolveLora(unwritten));
  });

  test("has every key of the schema, each with its meaning", () => {
    const example: unknown = parse(exampleConfig());
    expect(Object.keys(example as object)).toEqual(Object.keys(configSchema.shape));
    const asAbove = /^ {2}# {3}and, as above: /;
    const lines = exampleConfig()
      .split("\n")
      .filter((line) => line !== "" && !asAbove.test(line));
    for (const line of lines) expect(line).toMatch(/\S: ?.* # \S/);
  });

  test("shows every kind of regularizer, the first to be used, the others to be chosen instead", () => {
    const kinds = exampleConfig()
      .split(/^ {2}(?:# )?- type: /m)
      .slice(1)
      .map((kind) => kind.split("\n\n")[0]!);
    const { options } = regularizer.def;
    expect(kinds.map((kind) => kind.split(" ")[0])).toEqual(options.map(({ shape }) => [...shape.type._zod.values][0]));
    for (const [i, { shape }] of options.entries()) {
      for (const key of Object.keys(shape).slice(1)) expect(kinds[i]).toMatch(new RegExp(`\\b${key}\\b`));
    }
  });

  test("says of every other kind what holds for it when nothing is written", () => {
    const { regularizers: _, ...rest } = parse(exampleConfig()) as Record<string, unknown>;
    const read = (entry: unknown) => configSchema.parse({ ...rest, regularizers: [entry] }).regularizers[0];
    const [, ...kinds] = exampleConfig().split(/^ {2}# - type: /m);
    for (const kind of kinds) {
      const type = kind.split(" ")[0]!;
      const own = kind.split("\n").flatMap((line) => /^ {2}# {3}(\w+: .*)$/.exec(line)?.[1] ?? []);
      const keys = (parse(own.join("\n")) ?? {}) as object;
      expect(read({ type, ...keys })).toEqual(read({ type }));
    }
    expect(kinds).toHaveLength(regularizer.def.options.length - 1);
  });
});
