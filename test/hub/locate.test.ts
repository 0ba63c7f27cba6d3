import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { locateAdapter, locateModel } from "../../src/hub/locate.ts";
import { complaint, temporaryFolder } from "../data/folders.ts";
import { COMMIT, filesOf, hubWith, MODEL_FILES, modelRepo, NAME, OLD_COMMIT, partials } from "./fixture.ts";
import { gitOid, sha256 } from "./hub-server.ts";

const FOLDER = "models--tiny-org--tiny.Llama_1";

describe("a hub name", () => {
  it("is downloaded into the layout of huggingface_hub: refs, links and blobs under their checksums", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    const { folder, hub } = await locateModel(NAME);
    expect(hub).toEqual({ name: NAME, revision: COMMIT });
    expect(folder).toBe(join(cache, FOLDER, "snapshots", COMMIT));
    // Nothing but what a model folder needs: no README, no pickled weights.
    expect(readdirSync(folder).sort()).toEqual(Object.keys(MODEL_FILES).sort());
    for (const [file, content] of Object.entries(MODEL_FILES)) {
      expect(readFileSync(join(folder, file)).equals(content), file).toBe(true);
      const isLarge = file === "model.safetensors" || file === "tokenizer.json";
      expect(readlinkSync(join(folder, file))).toBe(`../../blobs/${isLarge ? sha256(content) : gitOid(content)}`);
    }
    expect(readFileSync(join(cache, FOLDER, "refs", "main"), "utf8")).toBe(COMMIT);
    expect(readdirSync(join(cache, FOLDER, "blobs"))).toHaveLength(Object.keys(MODEL_FILES).length);
    expect(readdirSync(join(cache, FOLDER, ".no_exist", COMMIT)).sort()).toEqual([
      "added_tokens.json",
      "chat_template.jinja",
      "special_tokens_map.json",
    ]);
    // The second time nothing is asked.
    const asked = server.asked.length;
    expect(await locateModel(NAME)).toEqual({ folder, hub });
    expect(server.asked).toHaveLength(asked);
  });

  it.each([
    ["a tag", "v1.0"],
    ["a pull request", "refs/pr/1"],
    ["a commit", OLD_COMMIT],
  ])("may say %s", async (_, revision) => {
    const { cache } = await hubWith({ [NAME]: modelRepo() });
    const { folder, hub } = await locateModel(`${NAME}@${revision}`);
    expect(hub).toEqual({ name: NAME, revision: OLD_COMMIT });
    expect(readFileSync(join(folder, "chat_template.jinja"), "utf8")).toContain("messages");
    const ref = join(cache, FOLDER, "refs", revision);
    if (revision === OLD_COMMIT) expect(existsSync(ref)).toBe(false);
    else expect(readFileSync(ref, "utf8")).toBe(OLD_COMMIT);
    // Both states share their blobs.
    await locateModel(NAME);
    expect(readdirSync(join(cache, FOLDER, "blobs"))).toHaveLength(Object.keys(MODEL_FILES).length + 1);
  });

  it("with shards brings those that its index names", async () => {
    const weights = MODEL_FILES["model.safetensors"]!;
    const { "model.safetensors": _, ...others } = MODEL_FILES;
    const index = { weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" } };
    const files = {
      ...others,
      "model.safetensors.index.json": Buffer.from(JSON.stringify(index)),
      "model-00001-of-00002.safetensors": weights,
      "model-00002-of-00002.safetensors": weights.subarray(1),
      "consolidated.safetensors": weights.subarray(2),
    };
    const { server } = await hubWith({ [NAME]: modelRepo({ commits: { [COMMIT]: files } }) });
    const { folder } = await locateModel(NAME);
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(Object.values(index.weight_map)));
    expect(existsSync(join(folder, "consolidated.safetensors"))).toBe(false);
    // A shard that is gone makes it incomplete.
    rmSync(join(folder, "model-00002-of-00002.safetensors"));
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await complaint(() => locateModel(NAME))).toContain("hf download");
    vi.stubEnv("HF_HUB_OFFLINE", "");
    await locateModel(NAME);
    expect(existsSync(join(folder, "model-00002-of-00002.safetensors"))).toBe(true);
    // Its blob was still there.
    expect(server.contents.filter((path) => path.endsWith("model-00002-of-00002.safetensors"))).toHaveLength(1);
  });

  it("of an adapter brings its two files", async () => {
    await hubWith({ "who/adapter": modelRepo({ commits: { [COMMIT]: filesOf("adapter-init") } }) });
    const { folder, hub } = await locateAdapter("who/adapter");
    expect(hub).toEqual({ name: "who/adapter", revision: COMMIT });
    expect(readdirSync(folder).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("tells how far the download is, and what is downloaded", async () => {
    const { server } = await hubWith({ [NAME]: modelRepo() });
    const seen: number[] = [];
    const totals = new Set<number>();
    const notes: string[] = [];
    await locateModel(NAME, {
      note: (text) => notes.push(text),
      onDownload: ({ bytes, total }) => {
        seen.push(bytes);
        totals.add(total);
      },
    });
    const total = Object.values(MODEL_FILES).reduce((sum, { length }) => sum + length, 0);
    expect([...totals]).toEqual([total]);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(total);
    expect(notes).toEqual([`downloading ${NAME} from ${new URL(server.url).host}: 5 files, 0.5 MB`]);
  });

  it("that transformers left in part is completed, and used as it is when the hub is away", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() });
    const snapshot = join(cache, FOLDER, "snapshots", COMMIT);
    mkdirSync(snapshot, { recursive: true });
    for (const file of ["config.json", "tokenizer.json", "model.safetensors"])
      writeFileSync(join(snapshot, file), MODEL_FILES[file]!);
    mkdirSync(join(cache, FOLDER, "refs"));
    writeFileSync(join(cache, FOLDER, "refs", "main"), COMMIT);
    vi.stubEnv("HF_HUB_OFFLINE", "YES");
    expect((await locateModel(NAME)).folder).toBe(snapshot);
    expect(server.asked).toEqual([]);
    vi.stubEnv("HF_HUB_OFFLINE", "0");
    await locateModel(NAME);
    expect(readdirSync(snapshot).sort()).toEqual(Object.keys(MODEL_FILES).sort());
    expect(server.contents.map((path) => path.split("/").at(-1)).sort()).toEqual([
      "generation_config.json",
      "tokenizer_config.json",
    ]);
    rmSync(join(snapshot, "generation_config.json"));
    server.repos[NAME] = modelRepo({ token: "good" });
    const notes: string[] = [];
    expect((await locateModel(NAME, { note: (text) => notes.push(text) })).folder).toBe(snapshot);
    expect(notes).toEqual([expect.stringMatching(/^using tiny-org.* as the cache has it/)]);
  });

  it("is copied where there are to be no links", async () => {
    await hubWith({ [NAME]: modelRepo() }, { HF_HUB_DISABLE_SYMLINKS: "1" });
    const { folder } = await locateModel(NAME);
    expect(() => readlinkSync(join(folder, "config.json"))).toThrow("EINVAL");
    expect(readFileSync(join(folder, "config.json")).equals(MODEL_FILES["config.json"]!)).toBe(true);
  });
});

describe("a folder", () => {
  it("that exists beside is no hub name, whatever it is called", async () => {
    const { server } = await hubWith({ [NAME]: modelRepo() });
    const beside = temporaryFolder();
    mkdirSync(join(beside, NAME), { recursive: true });
    expect(await locateModel(NAME, { beside })).toEqual({ folder: join(beside, NAME) });
    expect(server.asked).toEqual([]);
    expect((await locateModel(NAME, { beside: temporaryFolder() })).hub?.name).toBe(NAME);
  });

  it("may begin with the home folder", async () => {
    vi.stubEnv("HOME", temporaryFolder());
    mkdirSync(join(homedir(), "models"));
    expect(await locateModel("~/models")).toEqual({ folder: join(homedir(), "models") });
    vi.unstubAllEnvs();
  });

  it.each(["./none", "/none/at/all", "~/none/here", "none", "a/b/c", "../a/b", "a/b--c", "a/b@x..y"])(
    "%s that does not exist: both readings are in the message",
    async (written) => {
      const { server } = await hubWith({});
      const message = await complaint(() => locateModel(written));
      expect(message).toMatch(/^the model folder .* does not exist, nor is it a hub name \(ORG\/NAME/);
      expect(await complaint(() => locateAdapter(written))).toMatch(/^train\.adapter names the folder .* hub name/);
      expect(server.asked).toEqual([]);
    },
  );
});

describe("is refused in one sentence:", () => {
  const host = (url: string) => new URL(url).host;

  it("a name that nobody has", async () => {
    const { server } = await hubWith({});
    const message = `models/base is neither a folder that exists nor a model on ${host(server.url)}: check the name, and HF_TOKEN for a private one`;
    expect(await complaint(() => locateModel("models/base"))).toBe(message);
    vi.stubEnv("HF_TOKEN", "good");
    expect(await complaint(() => locateModel("models/base"))).toContain("check the name, that the token may read");
  });

  it("a revision that the repository does not have", async () => {
    const { server } = await hubWith({ [NAME]: modelRepo() });
    expect(await complaint(() => locateModel(`${NAME}@v9`))).toBe(
      `${host(server.url)} has ${NAME}, but no revision v9 of it: check the part behind @`,
    );
  });

  it("a token that the hub refuses, which is not shown", async () => {
    const { server } = await hubWith({ [NAME]: modelRepo() }, { HF_TOKEN: "bad-secret" });
    expect(await complaint(() => locateModel(NAME))).toBe(
      `${host(server.url)} refuses the token in HF_TOKEN: set HF_TOKEN to a valid one, or unset it for what is public`,
    );
  });

  it("a token that cannot be sent, which is not shown", async () => {
    const { server } = await hubWith({ [NAME]: modelRepo() }, { HF_TOKEN: "hf_\u2026secret" });
    const message = await complaint(() => locateModel(NAME));
    expect(message).toMatch(/^the token in HF_TOKEN holds characters/);
    expect(message).not.toContain("secret");
    expect(server.asked).toEqual([]);
  });

  it.each([
    ["", "no token was sent"],
    ["good", "the token in HF_TOKEN may not read it"],
  ])("a gated model (token %j)", async (token, why) => {
    const { server } = await hubWith({ [NAME]: modelRepo({ gated: true }) }, { HF_TOKEN: token });
    expect(await complaint(() => locateModel(NAME))).toBe(
      `${NAME} is gated, and ${why}: accept its terms at ${server.url}/${NAME} and set HF_TOKEN to a token that may read it`,
    );
  });

  it("offline and not in the cache, with the command that fetches it", async () => {
    const { server, cache } = await hubWith({ [NAME]: modelRepo() }, { TRANSFORMERS_OFFLINE: "true" });
    const message = await complaint(() => locateModel(`${NAME}@v1.0`));
    expect(message).toContain(`\`hf download ${NAME} --revision v1.0\``);
    expect(message).toContain(cache);
    expect(await complaint(() => locateAdapter("who/adapter"))).toMatch(/^the adapter who\/adapter is .*`hf download/);
    expect(server.asked).toEqual([]);
  });

  it("a hub that cannot be reached", async () => {
    const { server } = await hubWith({ [NAME]: modelRepo() });
    server.stop();
    expect(await complaint(() => locateModel(NAME))).toBe(
      `cannot reach ${host(server.url)} for the model ${NAME} (ECONNREFUSED): check the network, or HF_ENDPOINT, and start again; what was downloaded is kept`,
    );
  }, 20_000);

  it("a cache that cannot be written", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    await hubWith({ [NAME]: modelRepo() }, { HF_HUB_CACHE: join(file, "hub") });
    expect(await complaint(() => locateModel(NAME))).toMatch(
      /^cannot write tiny-org.* into the cache .* \(ENOTDIR at .*set HF_HUB_CACHE/,
    );
  });

  it.each([
    ["an adapter as a model", filesOf("adapter-init"), "it is an adapter; give its base as `model`"],
    [
      "other weights",
      { "config.json": Buffer.from("{}"), "tokenizer.json": Buffer.from("{}"), "pytorch_model.bin": Buffer.from("x") },
      "holds no model.safetensors, which a model needs: klamp reads safetensors in the layout of transformers, and it has pytorch_model.bin",
    ],
    ["no tokenizer", { "config.json": Buffer.from("{}"), "model.safetensors": Buffer.from("x") }, "no tokenizer.json"],
  ])("%s", async (_, files: Record<string, Buffer>, expected) => {
    const { server } = await hubWith({ [NAME]: modelRepo({ commits: { [COMMIT]: files } }) });
    expect(await complaint(() => locateModel(NAME))).toContain(expected);
    expect(server.contents).toEqual([]);
  });

  it("a model as an adapter", async () => {
    await hubWith({ [NAME]: modelRepo() });
    expect(await complaint(() => locateAdapter(NAME))).toContain("it is a whole model");
  });
});

describe("the token", () => {
  it.each([
    ["in HF_TOKEN", { HF_TOKEN: " good-one\n" }, ""],
    ["in the token file", {}, "good-one\n"],
  ])("%s goes to the hub and nowhere else", async (_, environment, file) => {
    const path = join(temporaryFolder(), "token");
    writeFileSync(path, file);
    const { server } = await hubWith(
      { [NAME]: modelRepo({ token: "good-one" }) },
      { HF_TOKEN_PATH: path, ...environment },
    );
    const said: string[] = [];
    await locateModel(NAME, { note: (text) => said.push(text), onDownload: (each) => said.push(JSON.stringify(each)) });
    const hub = server.asked.filter(({ host }) => host === "hub");
    const elsewhere = server.asked.filter(({ host }) => host === "elsewhere");
    expect(new Set(hub.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer good-one"]));
    expect(elsewhere.length).toBe(2);
    expect(new Set(elsewhere.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
    expect(said.join()).not.toContain("good-one");
  });
});

it("partial files are gone after a download", async () => {
  const { cache } = await hubWith({ [NAME]: modelRepo() });
  await locateModel(NAME);
  expect(partials(cache)).toEqual([]);
});
