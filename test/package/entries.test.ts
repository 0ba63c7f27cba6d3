import { describe, expect, test } from "vitest";
import { execute, ROOT } from "./npm.ts";

/** @file What importing each entry of the package loads. */

/** The modules of ONNX Runtime that a process has loaded after this code, which may import klamp by its name. */
function runtimeModules(code: string): string[] {
  const report = `
    import { createRequire } from "node:module";
    const loaded = Object.keys(createRequire("file:///").cache).filter((path) => /onnxruntime/.test(path));
    process.stdout.write(JSON.stringify(loaded));`;
  const { code: exit, out, err } = execute(ROOT, process.execPath, "--input-type=module", "--eval", `${code}${report}`);
  expect(err).toBe("");
  expect(exit).toBe(0);
  return JSON.parse(out) as string[];
}

describe("ONNX Runtime", () => {
  const ENTRIES = [
    "klamp",
    "klamp/divergence",
    "klamp/regularizer",
    "klamp/reference",
    "klamp/reference/store",
    "klamp/engine",
    "klamp/tinker",
    "klamp/server",
    "klamp/opentelemetry",
  ];

  test("is loaded by no entry of the package", () => {
    expect(runtimeModules(ENTRIES.map((entry) => `import "${entry}";`).join("\n"))).toEqual([]);
  });

  test("is loaded when a local model is opened", () => {
    const open = `
      import { LocalModel } from "klamp/engine";
      const model = await LocalModel.open("models/small-world");
      await model.close();`;
    expect(runtimeModules(open)).not.toEqual([]);
  });
});
