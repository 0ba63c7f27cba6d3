import { describe, expect, it } from "vitest";
import { toLora } from "../../../src/engine/families/lora.ts";
import { type LoraOptions, loraSettings, PROJECTIONS } from "../../../src/model/lora.ts";

/** @file Which linear maps settings mean, by PEFT's rules; test/fixtures/families holds them against PEFT itself. */

const MODEL = { layers: 12 };
const of = (options: LoraOptions) => toLora(MODEL, loraSettings({ rank: 4, alpha: 8, ...options }));
/** `3.q_proj` for `model.layers.3.self_attn.q_proj`. */
const short = (options: LoraOptions) =>
  [...of(options).keys()].map((name) => name.replace(/^.*layers\.|self_attn\.|mlp\./g, ""));

describe("target_modules", () => {
  it.each<[string, LoraOptions, string[]]>([
    ["a full name", { target_modules: ["model.layers.1.self_attn.q_proj"] }, ["1.q_proj"]],
    ["an end after a dot", { target_modules: ["1.mlp.up_proj"] }, ["1.up_proj"]],
    [
      "a regular expression for the whole name",
      { target_modules: String.raw`.*\.1\d\.mlp\.up_proj` },
      ["10.up_proj", "11.up_proj"],
    ],
    ["Python's named groups", { target_modules: String.raw`.*\.(?P<n>3)\.mlp\.up_proj` }, ["3.up_proj"]],
    [
      "without those excluded",
      { target_modules: ["2.mlp.up_proj", "3.mlp.up_proj"], exclude_modules: ["layers.2.mlp.up_proj"] },
      ["3.up_proj"],
    ],
    ["of some layers", { target_modules: ["v_proj"], layers_to_transform: [0, 11] }, ["0.v_proj", "11.v_proj"]],
    [
      "of layers under a name",
      { target_modules: ["v_proj"], layers_to_transform: [2], layers_pattern: ["h", "layers"] },
      ["2.v_proj"],
    ],
    [
      "a full name, whatever the layers",
      { target_modules: ["model.layers.5.mlp.up_proj"], layers_to_transform: [2] },
      ["5.up_proj"],
    ],
  ])("%s", (_, options, expected) => {
    expect(short(options)).toEqual(expected);
  });

  it("that match nothing are refused, with what there is", () => {
    for (const target_modules of ["q_proj", String.raw`.*\.13\..*`]) {
      expect(() => of({ target_modules })).toThrow(
        `LoRA's target_modules ${JSON.stringify(target_modules)} match no linear map of this model, whose layers have ${PROJECTIONS.join(", ")}.`,
      );
    }
  });

  it("that are no regular expression in both languages are refused", () => {
    expect(() => of({ target_modules: "(?i).*q_proj" })).toThrow(/holds "\(\?i\)\.\*q_proj", which klamp cannot read/);
  });
});

describe("patterns", () => {
  it("give the first that matches a name, an end of it after a dot, or a regular expression for one", () => {
    const lora = of({
      target_modules: ["v_proj", "q_proj"],
      rank_pattern: { "1.self_attn.v_proj": 2, v_proj: 6, "layers\\.\\d\\..*": 3 },
      alpha_pattern: { "model.layers.0.self_attn.q_proj": 1 },
    });
    const at = (layer: number, name: string) => lora.get(`model.layers.${layer}.self_attn.${name}`);
    expect(at(1, "v_proj")).toEqual({ rank: 2, scale: 4 });
    expect(at(11, "v_proj")).toEqual({ rank: 6, scale: 8 / 6 });
    expect(at(0, "q_proj")).toEqual({ rank: 3, scale: 1 / 3 });
    expect(at(10, "q_proj")).toEqual({ rank: 4, scale: 2 });
  });

  it.each<[LoraOptions, string]>([
    [{ rank_pattern: { q_proj: 0 } }, "LoRA's rank_pattern has 0 for q_proj, expected a whole number of at least 1."],
    [{ alpha_pattern: { q_proj: -1 } }, "LoRA's alpha_pattern has -1 for q_proj, expected a finite number above 0."],
  ])("%j is refused", (options, expected) => {
    expect(() => of(options)).toThrow(expected);
  });
});
