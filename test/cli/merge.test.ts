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
    [[FIXTURE, "--output", "/x"], /is neither a run folder, with config\.yaml and adapter\/, nor an adapter/],
    [[join(FIXTURE, "adapter-init"), "--output", "/x"], /the model folder \S+ does not exist, nor is it a hub name/],
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
