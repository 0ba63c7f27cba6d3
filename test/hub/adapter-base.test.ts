import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { checkAdapterBase } from "../../src/hub/adapter-base.ts";
import { complaint, temporaryFolder } from "../data/folders.ts";
import { COMMIT, hubWith, modelRepo, NAME, OLD_COMMIT } from "./fixture.ts";

function adapterOf(config: unknown): { readonly folder: string } {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "adapter_config.json"), typeof config === "string" ? config : JSON.stringify(config));
  return { folder };
}

const MODEL = { folder: "/snapshot", hub: { name: NAME, revision: COMMIT } };

it.each([
  ["the same model", { base_model_name_or_path: NAME, revision: null }],
  ["in other letters", { base_model_name_or_path: NAME.toUpperCase() }],
  ["the same commit", { base_model_name_or_path: NAME, revision: COMMIT }],
  ["the beginning of the commit", { base_model_name_or_path: NAME, revision: COMMIT.slice(0, 8) }],
  ["a branch that is this commit", { base_model_name_or_path: NAME, revision: "main" }],
  ["a folder", { base_model_name_or_path: "/home/someone/model" }],
  ["a folder that exists", { base_model_name_or_path: "test/fixtures" }],
  ["one word", { base_model_name_or_path: "model" }],
  ["nothing", { base_model_name_or_path: null, revision: "v1.0" }],
  ["no JSON", "{"],
])("an adapter that says %s as its base is taken", async (_, config) => {
  await hubWith({ [NAME]: modelRepo() });
  await checkAdapterBase(adapterOf(config), MODEL);
});

it("another model of the hub is refused with both names", async () => {
  await hubWith({ [NAME]: modelRepo() });
  const adapter = adapterOf({ base_model_name_or_path: "other/model" });
  expect(await complaint(() => checkAdapterBase(adapter, MODEL))).toBe(
    `the adapter ${adapter.folder} was made for other/model, and the model is ${NAME}: use that model, or correct base_model_name_or_path in its adapter_config.json`,
  );
  const hub = { name: "who/adapter", revision: COMMIT };
  expect(await complaint(() => checkAdapterBase({ ...adapter, hub }, MODEL))).toMatch(/^the adapter who\/adapter was/);
  // A folder may be that model.
  await checkAdapterBase(adapter, { folder: "/models/mine" });
});

it.each([["v1.0"], [OLD_COMMIT], ["b2b2b2b2"], ["nowhere"]])("another revision is refused: %s", async (revision) => {
  const { cache } = await hubWith({ [NAME]: modelRepo() });
  const adapter = adapterOf({ base_model_name_or_path: NAME, revision });
  const message = await complaint(() => checkAdapterBase(adapter, MODEL));
  expect(message).toContain(`was made for ${NAME}@${revision}, and the model is ${NAME}@${COMMIT}: set model to`);
  // Without the hub the cache says it.
  vi.stubEnv("HF_HUB_OFFLINE", "1");
  expect(await complaint(() => checkAdapterBase(adapter, MODEL))).toBe(message);
  const refs = join(cache, "models--tiny-org--tiny.Llama_1", "refs");
  mkdirSync(refs, { recursive: true });
  writeFileSync(join(refs, "v1.0"), COMMIT);
  if (revision === "v1.0") await checkAdapterBase(adapter, MODEL);
});
