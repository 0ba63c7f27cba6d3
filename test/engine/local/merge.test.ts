import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { everyToken } from "../../../src/data/datum.ts";
import { openSafetensors, type RawTensor, toBytes, writeRawSafetensors } from "../../../src/data/safetensors.ts";
import { mergeAdapter } from "../../../src/engine/local/files/merge.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import { complaint, temporaryFolder } from "../../data/folders.ts";
import { worstDifference, writeJson } from "./models.ts";

const FAMILIES = fileURLToPath(new URL("../../fixtures/families/", import.meta.url));
const DATA = [everyToken([3, 9, 4, 20, 7, 30, 11, 5]), everyToken([40, 8, 8, 12])];

async function distributionsOf(model: string, adapter?: string): Promise<Float32Array[]> {
  const opened = await LocalModel.open(model, { threads: 1 });
  const rows = await (await opened.sampler(adapter)).distributions(DATA);
  await opened.close();
  return rows.map(({ data }) => data);
}

/** The folder of a family with its weights in another number type, in two files. */
async function sharded(name: string, dtype: string): Promise<string> {
  const folder = temporaryFolder();
  cpSync(join(FAMILIES, name, "config.json"), join(folder, "config.json"));
  writeFileSync(join(folder, "tokenizer_config.json"), "{}");
  const file = await openSafetensors(join(FAMILIES, name, "model.safetensors"));
  const tensors: [string, RawTensor][] = [];
  for (const [tensor, shape] of file.shapes) {
    tensors.push([tensor, { dtype, shape, bytes: toBytes((await file.read(tensor)).data, dtype) }]);
  }
  await file.close();
  const weight_map: Record<string, string> = {};
  for (const [i, part] of [tensors.slice(0, 7), tensors.slice(7)].entries()) {
    const path = `model-0000${i + 1}-of-00002.safetensors`;
    await writeRawSafetensors(join(folder, path), new Map(part));
    for (const [tensor] of part) weight_map[tensor] = path;
  }
  writeJson(folder, "model.safetensors.index.json", { metadata: { total_size: 1 }, weight_map });
  return folder;
}

describe("a merged model", () => {
  it.each(["llama", "gemma3", "qwen2"])("is the base with the adapter: %s", async (name) => {
    const output = join(temporaryFolder(), "merged");
    const [model, adapter] = [join(FAMILIES, name), join(FAMILIES, name, "adapter")];
    await mergeAdapter(model, adapter, output);
    const [expected, found, base] = [
      await distributionsOf(model, adapter),
      await distributionsOf(output),
      await distributionsOf(model),
    ];
    for (const [i, rows] of found.entries()) {
      expect(worstDifference(rows, expected[i]!)).toBeLessThan(1e-5);
      expect(worstDifference(rows, base[i]!)).toBeGreaterThan(0.1);
    }
  });

  it.each(["BF16", "F16", "F64"])(
    "has the base's files and number type, and what is not merged byte for byte: %s",
    async (dtype) => {
      const model = await sharded("llama", dtype);
      const adapter = join(FAMILIES, "adapters/regex");
      const output = join(temporaryFolder(), "new", "merged");
      await mergeAdapter(model, adapter, output);
      expect(readdirSync(output).sort()).toEqual(readdirSync(model).sort());
      expect(readFileSync(join(output, "config.json"))).toEqual(readFileSync(join(model, "config.json")));
      let changed = 0;
      for (const name of readdirSync(model).filter((each) => each.endsWith(".safetensors"))) {
        const [before, after] = await Promise.all([model, output].map((each) => openSafetensors(join(each, name))));
        expect([...after!.shapes]).toEqual([...before!.shapes]);
        for (const tensor of before!.shapes.keys()) {
          const [one, other] = [await before!.readRaw(tensor), await after!.readRaw(tensor)];
          expect(other.dtype).toBe(dtype);
          const same = Buffer.from(one.bytes).equals(Buffer.from(other.bytes));
          expect(same, tensor).toBe(!/layers\.[02]\.(self_attn\.[qv]_proj|mlp)/.test(tensor));
          changed += Number(!same);
        }
        for (const file of [before, after]) await file!.close();
      }
      expect(changed).toBe(2 * 5);
      const tolerance = { BF16: 0.2, F16: 0.02, F64: 1e-5 }[dtype]!;
      const [expected, found] = [await distributionsOf(model, adapter), await distributionsOf(output)];
      for (const [i, rows] of found.entries()) expect(worstDifference(rows, expected[i]!)).toBeLessThan(tolerance);
    },
  );

  it("writes over nothing, and leaves nothing behind where it cannot be", async () => {
    const folder = temporaryFolder();
    const [model, adapter] = [join(FAMILIES, "llama"), join(FAMILIES, "llama/adapter")];
    expect(await complaint(() => mergeAdapter(model, adapter, folder), folder)).toContain(
      "exists already, and klamp writes over nothing: choose another folder",
    );
    const wide = join(FAMILIES, "llama-wide-heads/adapter");
    expect(await complaint(() => mergeAdapter(model, wide, join(folder, "merged")))).toContain("has shape");
    const aborted = AbortSignal.abort(new Error("stopped"));
    await expect(mergeAdapter(model, adapter, join(folder, "merged"), { signal: aborted })).rejects.toThrow("stopped");
    expect(existsSync(join(folder, "merged"))).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });
});
