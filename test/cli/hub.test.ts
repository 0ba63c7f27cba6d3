import { describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { openEngine } from "../../src/engine/open.ts";
import { COMMIT, filesOf, hubWith, modelRepo, NAME, OLD_COMMIT } from "../hub/fixture.ts";
import { klamp, Workspace } from "./workspace.ts";

/** @file A model and an adapter by their names on the hub, through the whole command line. */

const ADAPTER = "who/tiny-adapter";

function adapterRepo(config: Record<string, unknown>) {
  const files = filesOf("adapter-final-mr");
  const written = { ...JSON.parse(files["adapter_config.json"]!.toString()), ...config };
  return modelRepo({
    commits: { [COMMIT]: { ...files, "adapter_config.json": Buffer.from(JSON.stringify(written)) } },
    refs: { main: COMMIT },
  });
}

describe("klamp train on a hub name", () => {
  test("downloads it once, trains, and writes name, commit and digest down", async () => {
    const { server } = await hubWith({ [NAME]: modelRepo({ token: "good-secret" }) }, { HF_TOKEN: "good-secret" });
    const workspace = new Workspace();
    const first = await workspace.train({ model: NAME });
    expect(first.code, first.err).toBe(0);
    expect(first.err).toContain(`downloading ${NAME} from 127.0.0.1`);
    expect(first.err).toMatch(/tiny-org\/tiny\.Llama_1 {2}0\.5\/0\.5 MB/);
    expect(parse(workspace.read("run", "config.yaml")).model).toBe(NAME);
    expect(workspace.json("run", "adapter", "adapter_config.json")).toMatchObject({
      base_model_name_or_path: NAME,
      revision: COMMIT,
    });
    const { model, settings, start } = workspace.json("run", "summary.json");
    const digest = expect.stringMatching(/^sha256:[0-9a-f]{64}$/);
    expect(model).toEqual({ name: NAME, revision: COMMIT, digest });
    expect(settings).toMatchObject({ model: NAME });
    expect(start).toBeNull();
    for (const text of [first.out, first.err, ...workspace.everything().values()])
      expect(text).not.toContain("good-secret");
    expect(workspace.read("run", "report.html")).toContain(COMMIT);

    // Again, from the cache: the run's own configuration does the same without a hub.
    server.stop();
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    const again = await klamp("train", "--config", workspace.path("run", "config.yaml"), "--set", "output=/dev/null/x");
    expect(again.err).toContain("/dev/null");
    const second = await klamp(
      ...["train", "--config", workspace.path("run", "config.yaml")],
      ...["--set", `output=${workspace.path("second")}`],
    );
    expect(second.code, second.err).toBe(0);
    expect(second.err).not.toContain("downloading");
    const losses = (run: string) => workspace.metrics(run).map(({ loss }) => loss);
    expect(losses("second")).toEqual(losses("run"));
    expect(workspace.json("second", "summary.json").model).toEqual(model);
  });

  test("a model that is a folder has no revision, and the same digest", async () => {
    await hubWith({ [NAME]: modelRepo() });
    const workspace = new Workspace();
    await workspace.train({ model: NAME, output: "./hub" });
    await workspace.train({ output: "./folder" });
    const { model: hub } = workspace.json("hub", "summary.json") as { model: Record<string, unknown> };
    const { model: folder } = workspace.json("folder", "summary.json") as { model: Record<string, unknown> };
    expect(folder.revision).toBeNull();
    expect(folder.digest).toBe(hub.digest);
    expect(workspace.json("folder", "adapter", "adapter_config.json").revision).toBeNull();
  });

  test("what the hub refuses is one sentence, and nothing is written", async () => {
    await hubWith({ [NAME]: modelRepo() });
    const workspace = new Workspace();
    const { code, err } = await workspace.train({ model: `${NAME}@v7` });
    expect(code).toBe(2);
    expect(err).toMatch(
      /^klamp: 127\.0\.0\.1:\d+ has tiny-org.*, but no revision v7 of it: check the part behind @\n$/,
    );
    expect([...workspace.everything().keys()]).not.toContain(workspace.path("run"));
  });
});

describe("an adapter to start from, by its hub name", () => {
  test("is downloaded and trained on, also as a reference", async () => {
    await hubWith({ [NAME]: modelRepo(), [ADAPTER]: adapterRepo({ base_model_name_or_path: NAME }) });
    const workspace = new Workspace();
    const { code, err } = await workspace.train({
      model: NAME,
      train: { steps: 1, batch_size: 4, adapter: ADAPTER },
      regularizers: [{ type: "kl_divergence", reference: "start", text: "completions" }],
    });
    expect(code, err).toBe(0);
    // The first step measures the adapter against itself.
    expect(workspace.metrics()[0]!.kl_divergence).toBe(0);
    expect(parse(workspace.read("run", "config.yaml")).train.adapter).toBe(ADAPTER);
    expect(workspace.json("run", "summary.json").start).toEqual({ name: ADAPTER, revision: COMMIT });
  });

  test.each([
    [{ base_model_name_or_path: "other/base" }, `was made for other/base, and the model is ${NAME}:`],
    [
      { base_model_name_or_path: NAME, revision: "v1.0" },
      `was made for ${NAME}@v1.0, and the model is ${NAME}@${COMMIT}:`,
    ],
  ])("that was made for another model is refused: %j", async (config, expected) => {
    await hubWith({ [NAME]: modelRepo(), [ADAPTER]: adapterRepo(config) });
    const workspace = new Workspace();
    const ways = [
      await workspace.train({ model: NAME, train: { steps: 1, adapter: ADAPTER } }),
      await klamp("generate", "--adapter", ADAPTER, "--model", NAME, "--prompt", "a"),
      await klamp("merge", ADAPTER, "--model", NAME, "--output", workspace.path("merged")),
    ];
    for (const { code, err } of ways) {
      expect(code).toBe(2);
      expect(err).toContain(`klamp: the adapter ${ADAPTER} ${expected}`);
    }
  });

  test("that klamp trained on another state of the model is refused", async () => {
    await hubWith({ [NAME]: modelRepo() });
    const workspace = new Workspace();
    await workspace.train({ model: `${NAME}@v1.0`, output: "./old" });
    const adapter = { train: { steps: 1, adapter: "./old/adapter" } };
    expect((await workspace.train({ model: NAME, ...adapter })).err).toContain(
      `was made for ${NAME}@${OLD_COMMIT}, and the model is ${NAME}@${COMMIT}: set model to ${NAME}@${OLD_COMMIT}`,
    );
    expect((await workspace.train({ model: `${NAME}@${OLD_COMMIT}`, ...adapter })).code).toBe(0);
  });
});

test("klamp reference build finds both by their names too", async () => {
  await hubWith({ [NAME]: modelRepo(), [ADAPTER]: adapterRepo({}) });
  const workspace = new Workspace();
  const store = { store: "./store", kind: "top-k", k: 8, of: "start" };
  const config = workspace.config({
    model: NAME,
    train: { steps: 1, batch_size: 4, adapter: ADAPTER },
    regularizers: [{ type: "kl_divergence", reference: store, text: "completions" }],
  });
  const { code, err, out } = await klamp("reference", "build", "--config", config);
  expect(code, err).toBe(0);
  expect(out).toContain("8 texts added");
});

test("openEngine takes a hub name", async () => {
  await hubWith({ [NAME]: modelRepo() });
  const engine = await openEngine({ type: "local", model: `${NAME}@v1.0`, threads: 1 });
  expect(engine.model).toMatchObject({ name: NAME, revision: OLD_COMMIT, vocabSize: 320 });
  await engine.close();
});

test("a folder beside the configuration is taken before a hub name", async () => {
  const { server } = await hubWith({ [NAME]: modelRepo() });
  const workspace = new Workspace();
  workspace.copy("model", NAME);
  const { code, err } = await workspace.train({ model: NAME });
  expect(code, err).toBe(0);
  expect(server.asked).toEqual([]);
  expect(workspace.json("run", "adapter", "adapter_config.json").base_model_name_or_path).toBe(workspace.path(NAME));
});
