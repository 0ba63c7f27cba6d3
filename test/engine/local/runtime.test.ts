import { describe, expect, it } from "vitest";
import { loadRuntime } from "../../../src/engine/local/runtime.ts";
import { complaint } from "../../data/folders.ts";

const failing = (message: string, code?: string) => () =>
  Promise.reject(Object.assign(new Error(message), code && { code }));

describe("without the optional package", () => {
  it("one sentence says what to install", async () => {
    for (const code of ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"]) {
      expect(await complaint(() => loadRuntime(failing("Cannot find package", code)))).toBe(
        "the embedded engine needs the package onnxruntime-node, which is not installed: npm install onnxruntime-node",
      );
    }
  });

  it("a package that is there but broken is another matter", async () => {
    expect(await complaint(() => loadRuntime(failing("libonnxruntime.so.1: no such file", "ERR_DLOPEN_FAILED")))).toBe(
      "the embedded engine needs the package onnxruntime-node, which cannot be loaded (libonnxruntime.so.1: no such file): npm install onnxruntime-node",
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
