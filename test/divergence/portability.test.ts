import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { klDivergence, tensor } from "../../src/divergence/index.ts";
import { findChromium, launch, NO_CHROMIUM } from "../browser.ts";
import { bundle } from "../bundle.ts";

/** @file `klamp/divergence` as others get it: what is built, in a bundle and in a browser. */

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("a bundle", () => {
  test("of everything, kernels included, is at most 27 kB gzipped and holds nothing of the rest of klamp", async () => {
    const { code, inputs } = await bundle('export * from "klamp/divergence";');
    expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(27_000);
    expect(inputs.filter((path) => path !== "<stdin>" && !path.startsWith("dist/divergence/"))).toEqual([]);
  });

  test("of nothing that is used is empty: the module has no side effects", async () => {
    expect((await bundle('import "klamp/divergence";')).code.length).toBe(0);
    expect(
      (await bundle('import { klDivergence } from "klamp/divergence"; export const one = 1;')).code.length,
    ).toBeLessThan(60);
  });

  test("of one function leaves out the others, and without a kernel the kernels", async () => {
    const { code } = await bundle('export { totalVariation } from "klamp/divergence";');
    const whole = await bundle('export * from "klamp/divergence";');
    expect(code.length).toBeLessThan(whole.code.length / 3);
  });
});

const chromium = findChromium();

describe("in a browser", () => {
  let browser: Browser;
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    if (!chromium) return;
    const bundled = await bundle('export * from "klamp/divergence";');
    const answers: Record<string, () => string | Uint8Array> = {
      "/": () => "<!doctype html><title>klamp</title>",
      "/bundle.js": () => bundled.code,
    };
    server = createServer(({ url = "/" }, response) => {
      const script = url.endsWith(".js");
      // What a page needs that wants threads: nothing from elsewhere shares its process.
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
      response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
      response.end(answers[url]?.() ?? (script ? readFileSync(`${root}dist/divergence${url}`) : ""));
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await launch(chromium);
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  test.skipIf(!chromium)(
    `the built files as they are and a bundle give what Node gives${chromium ? "" : ` (skipped: ${NO_CHROMIUM})`}`,
    async () => {
      const logits = (of: (x: number) => number) => Array.from({ length: 600 }, (_, i) => of(i));
      const [p, q] = [logits((i) => 3 * Math.sin(i)), logits((i) => 3 * Math.sin(i) + Math.cos(2 * i))];
      const here = klDivergence.withGradient(tensor(p, [2, 300]), tensor(q, [2, 300]), { input: "logits" });
      for (const module of ["/index.js", "/bundle.js"]) {
        const page = await browser.newPage();
        const errors: string[] = [];
        page.on("pageerror", (error) => errors.push(error.message));
        await page.goto(origin);
        await page.addScriptTag({
          type: "module",
          content: `
            import { klDivergence, tensor } from "${module}";
            const [p, q] = [${JSON.stringify(p)}, ${JSON.stringify(q)}];
            const { value, gradient } = klDivergence.withGradient(tensor(p, [2, 300]), tensor(q, [2, 300]), { input: "logits" });
            globalThis.found = { value, gradient: [...gradient.data] };`,
        });
        await page.waitForFunction("globalThis.found", undefined, { timeout: 20_000 }).catch(() => {});
        expect(errors).toEqual([]);
        const found = (await page.evaluate("globalThis.found")) as { value: number; gradient: number[] };
        // The browser may have the relaxed build, where an operation rounds once instead of twice.
        expect(found.value).toBeCloseTo(here.value, 6);
        found.gradient.forEach((g, i) => {
          expect(Math.abs(g - here.gradient.data[i]!)).toBeLessThan(1e-7);
        });
        await page.close();
      }
    },
  );
});
