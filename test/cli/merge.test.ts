import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FIXTURE, klamp, Workspace } from "./workspace.ts";

describe("klamp merge", () => {
  test("writes the model folder of a run, or of an adapter beside a model that is given", async () => {
    const workspace = new Workspace();
    const output = workspace.path("merged");
    const { code, out } = await klamp(
      "merge",
      join(FIXTURE, "adapter-init"),
      "--model",
      join(FIXTURE, "model"),
      "--output",
      output,
    );
    expect(code).toBe(0);
    expect(out).toBe(`model    ${output}\n`);
    expect(existsSync(join(output, "tokenizer.json"))).toBe(true);

    await workspace.train();
    const merged = workspace.path("of-a-run");
    expect((await klamp("merge", workspace.path("run"), "--output", merged)).code).toBe(0);
    expect(existsSync(join(merged, "model.safetensors"))).toBe(true);
  });

  test.each([
    [
      [join(FIXTURE, "adapter-init")],
      /^klamp: merge needs a folder to write, as in `klamp merge .*--output \.\/merged`\.\n$/,
    ],
    [
      [FIXTURE, "--output", "/x"],
      /holds neither adapter_config\.json nor adapter\/adapter_config\.json: give a run folder/,
    ],
    [
      [join(FIXTURE, "adapter-init"), "--output", "/x"],
      /is an adapter of the model model, which does not exist: give the model's folder with --model\.\n$/,
    ],
    [
      [join(FIXTURE, "adapter-init"), "--model", join(FIXTURE, "model"), "--output", FIXTURE],
      /exists already, and klamp writes over nothing/,
    ],
  ])("%j is refused", async (args, expected) => {
    const { code, err } = await klamp("merge", ...args);
    expect(code).toBe(2);
    expect(err).toMatch(expected);
  });
});
