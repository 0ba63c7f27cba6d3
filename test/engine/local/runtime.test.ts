import { describe, expect, it } from "vitest";
import { loadRuntime } from "../../../src/engine/local/runtime.ts";
import { complaint } from "../../data/folders.ts";

const failing = (message: string, code?: string) => () =>
  Promise.reject(Object.assign(new Error(message), code && { code }));

describe("without the optional package", () => {
  const INSTALL = "npm install onnxruntime-node@1.30 --ignore-scripts";

  it("one sentence says what to install", async () => {
    expect(await complaint(() => loadRuntime(failing("Cannot find package", "ERR_MODULE_NOT_FOUND")))).toBe(
      `the embedded engine needs the package onnxruntime-node, which is not installed: ${INSTALL}`,
    );
  });

  it.each([
    ["libonnxruntime.so.1: no such file", "ERR_DLOPEN_FAILED"],
    ["Cannot find module '../bin/napi-v6/linux/riscv64/onnxruntime_binding.node'\nRequire stack:", "MODULE_NOT_FOUND"],
  ])("a package that is there but broken is another matter: %s", async (message, code) => {
    expect(await complaint(() => loadRuntime(failing(message, code)))).toBe(
      `the embedded engine needs the package onnxruntime-node, which cannot be loaded (${message.split("\n")[0]}): ${INSTALL}`,
    );
  });
});

it("tensors lie over the numbers they are made of", async () => {
  const runtime = await loadRuntime();
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const tensor = runtime.floats(data, [2, 3]);
  expect(tensor.data).toBe(data);
  expect(tensor.shape).toEqual([2, 3]);
  expect(tensor.location).toBe("cpu");
  expect(runtime.int64s([7, 8], [2]).shape).toEqual([2]);
  expect(() => runtime.floats(data, [2, 2])).toThrow();
});
