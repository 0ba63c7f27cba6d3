import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { everyToken } from "../../src/data/datum.ts";
import { tensor } from "../../src/divergence/index.ts";
import { compute, KLDivergence } from "../../src/regularizer/index.ts";
import { findChromium, launch, NO_CHROMIUM } from "../browser.ts";
import { bundle } from "../bundle.ts";

/** @file `klamp/regularizer` and `klamp/reference` as a page gets them: in a bundle for browsers, and in a browser. */

/** The packages of others that the bundle of a module holds something of. */
async function packagesIn(contents: string): Promise<string[]> {
  const { inputs } = await bundle(contents);
  const names = inputs.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  return [...new Set(names)].filter((name) => name !== undefined).sort();
}

describe("a bundle for browsers", () => {
  test("takes klamp/regularizer whole, which knows jax-js alone, and that only to load it when it is needed", async () => {
    expect(await packagesIn('export * from "klamp/regularizer";')).toEqual(["@jax-js/jax"]);
  });

  test("takes klamp/reference whole, which knows zod alone", async () => {
    expect(await packagesIn('export * from "klamp/reference";')).toEqual(["zod"]);
  });

  test("is refused what needs files", async () => {
    await expect(bundle('export * from "klamp/reference/store";')).rejects.toThrow(/Could not resolve "node:fs"/);
  });

  test.each(["regularizer", "reference"])("of nothing that is used of klamp/%s is empty", async (entry) => {
    expect((await bundle(`import "klamp/${entry}";`)).code).toHaveLength(0);
  });
});

const P = [0.4, 0.3, 0.2, 0.1, 0.1, 0.2, 0.3, 0.4].map(Math.log);
const Q = [0.25, 0.25, 0.25, 0.25, 0.1, 0.2, 0.3, 0.4].map(Math.log);

/** ½ Σ q·(log q − log p) over the first row; the second is the reference's. */
const KL = 0.0608886371;

describe("in a browser", () => {
  const chromium = findChromium();
  let browser: Browser;
  let server: Server;

  beforeAll(async () => {
    if (!chromium) return;
    const { code } = await bundle(`
      import { compute, KLDivergence } from "klamp/regularizer";
      import { givenReference } from "klamp/reference";
      const tensor = (data) => ({ data: Float32Array.from(data), shape: [2, 4] });
      const weights = { data: Float32Array.of(1, 1), shape: [2] };
      const target_tokens = { data: Int32Array.of(1, 2), shape: [2] };
      const data = [{ modelInput: Int32Array.of(0, 1), lossInputs: { target_tokens, weights } }];
      const reference = givenReference([tensor(${JSON.stringify(Q)})]);
      const kl = new KLDivergence({ reference, direction: "reverse" });
      const { loss, gradient } = await compute(kl, data, [tensor(${JSON.stringify(P)})]);
      globalThis.found = { loss, gradient: [...gradient[0].data] };`);
    server = createServer(({ url }, response) => {
      response.setHeader("Content-Type", url === "/bundle.js" ? "text/javascript" : "text/html");
      response.end(url === "/bundle.js" ? code : "<!doctype html><title>klamp</title>");
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    browser = await launch(chromium);
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  test.skipIf(!chromium)(
    `a KL regularizer with a given reference gives what Node gives${chromium ? "" : ` (skipped: ${NO_CHROMIUM})`}`,
    async () => {
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      await page.addScriptTag({ type: "module", url: "/bundle.js" });
      await page.waitForFunction("globalThis.found", undefined, { timeout: 20_000 }).catch(() => {});
      expect(errors).toEqual([]);
      const found = (await page.evaluate("globalThis.found")) as { loss: number; gradient: number[] };
      expect(found.loss).toBeCloseTo(KL, 6);

      const kl = new KLDivergence({ referenceLogprobs: [tensor(Q, [2, 4])], direction: "reverse" });
      const here = await compute(kl, [everyToken([0, 1, 2])], [tensor(P, [2, 4])]);
      found.gradient.forEach((slope, i) => {
        expect(slope).toBeCloseTo(here.gradient[0]!.data[i]!, 6);
      });
    },
  );
});
