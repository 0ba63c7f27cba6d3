import { writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hubSettings } from "../../src/hub/settings.ts";
import { complaint, temporaryFolder } from "../data/folders.ts";

/** @file The environment variables of huggingface_hub, in its order. */

it.each([
  [{}, join(homedir(), ".cache/huggingface/hub")],
  [{ XDG_CACHE_HOME: "/xdg" }, "/xdg/huggingface/hub"],
  [{ XDG_CACHE_HOME: "/xdg", HF_HOME: "/hf" }, "/hf/hub"],
  [{ HF_HOME: "~/hf" }, join(homedir(), "hf/hub")],
  [{ HF_HOME: "/hf", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
  [{ HF_HOME: "/hf", HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/new" }, "/new"],
  [
    { HF_HUB_CACHE: ["$SCRATCH", "$" + "{USER_ID}", "hub"].join("/"), SCRATCH: "/scratch", USER_ID: "7" },
    "/scratch/7/hub",
  ],
  [{ HF_HUB_CACHE: "/a/$NOWHERE" }, "/a/$NOWHERE"],
])("the cache of %j", (environment, cache) => {
  expect(hubSettings({ HF_TOKEN_PATH: "/none", ...environment }).cache).toBe(cache);
});

it.each([
  [{}, "https://huggingface.co"],
  [{ HF_ENDPOINT: "https://mirror.example/" }, "https://mirror.example"],
  [{ HF_ENDPOINT: "" }, "https://huggingface.co"],
])("the hub of %j", (environment, endpoint) => {
  expect(hubSettings({ HF_TOKEN_PATH: "/none", ...environment }).endpoint).toBe(endpoint);
});

it.each([
  [{ HF_HUB_OFFLINE: "1" }, true],
  [{ HF_HUB_OFFLINE: "yes" }, true],
  [{ HF_HUB_OFFLINE: "on" }, true],
  [{ TRANSFORMERS_OFFLINE: "true" }, true],
  [{ HF_HUB_OFFLINE: "0" }, false],
  [{ HF_HUB_OFFLINE: "0", TRANSFORMERS_OFFLINE: "1" }, false],
  [{}, false],
])("offline by %j: %j", (environment, offline) => {
  expect(hubSettings({ HF_TOKEN_PATH: "/none", ...environment }).offline).toBe(offline);
});

it("the token: of the environment, else of the file of the home or of one that is named", () => {
  const home = temporaryFolder();
  expect(hubSettings({ HF_HOME: home }).token).toBeUndefined();
  writeFileSync(join(home, "token"), "hf_file\r\n");
  writeFileSync(join(home, "other"), "hf_other");
  const secret = (environment: Record<string, string>) => hubSettings({ HF_HOME: home, ...environment }).token?.secret;
  expect(secret({})).toBe("hf_file");
  expect(secret({ HF_TOKEN_PATH: join(home, "other") })).toBe("hf_other");
  expect(secret({ HF_TOKEN: " hf_env " })).toBe("hf_env");
  expect(secret({ HF_TOKEN: "", HUGGING_FACE_HUB_TOKEN: "hf_old" })).toBe("hf_old");
  expect(secret({ HF_TOKEN: "" })).toBe("hf_file");
  expect(secret({ HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" })).toBeUndefined();
});

it("a token that no header can hold is refused without being shown", async () => {
  const message = await complaint(() => hubSettings({ HF_TOKEN: "hf_se cret" }));
  expect(message).toMatch(/^the token in HF_TOKEN holds characters that no token has/);
  expect(message).not.toContain("cret");
});
