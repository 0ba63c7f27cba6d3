import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { build } from "esbuild";
import { expect, test } from "vitest";

/** @file `klamp/reference` needs no Node: it bundles for a browser, and works where there is nothing else. */

const ENTRY = fileURLToPath(new URL("../../src/reference/index.ts", import.meta.url));

test("it bundles for a browser, without stores and engines, and computes there", async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [ENTRY],
    bundle: true,
    platform: "browser",
    format: "iife",
    globalName: "reference",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.filter((file) => /reference\/(store|file\.ts)|\/engine\//.test(file))).toEqual([]);
  const { text } = outputFiles[0]!;
  const browser = { AbortController, setTimeout, clearTimeout, URL, found: undefined as unknown };
  await runInNewContext(
    `${text}
    const data = new Float32Array([Math.log(0.25), Math.log(0.75)]);
    const rows = { data, shape: [1, 2] };
    const datum = {
      modelInput: new Int32Array(1),
      lossInputs: {
        target_tokens: { data: new Int32Array(1), shape: [1] },
        weights: { data: new Float32Array([1]), shape: [1] },
      },
    };
    let tries = 0;
    const compute = () => {
      if (++tries === 1) throw new Error("busy");
      return [rows];
    };
    reference
      .computedReference(compute)
      .begin([datum], { number: 1, full: false })
      .then((open) => open.rows([{ index: 0, from: 0, to: 1 }]))
      .then(([first]) => { found = [tries, first === rows]; })`,
    browser,
  );
  expect(browser.found).toEqual([2, true]);
});
