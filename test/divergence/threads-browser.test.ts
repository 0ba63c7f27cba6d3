import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { findChromium, launch, NO_CHROMIUM } from "../browser.ts";

/** @file Threads in a browser: in a page that shares memory, on its main thread, which may not sleep, and in one that does not. */

const PROGRAM = `
import { allocate, jensenShannon } from "./src/divergence/index.ts";
import { wasmMemory } from "./src/divergence/kernel/wasm-memory.ts";
import { workerPool } from "./src/divergence/kernel/worker-pool.ts";

const [p, q] = [0, 1].map((side) => {
  const home = allocate([64, 8000], { shared: true });
  home.data.set(home.data.map((_, i) => 3 * Math.sin(i * (side + 1))));
  return home;
});
const compute = (threads) => jensenShannon.withGradient(p, q, { input: "logits", threads });
const wasm = wasmMemory(true);
const taken = () => (wasm ? workerPool(wasm).taken[1] : 0);
for (let i = 0; i < 2000 && (i < 10 || (wasm && taken() === 0)); i++) {
  compute(2);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
const [one, two] = [compute(1), compute(2)];
const found = {
  shared: wasm !== undefined,
  taken: taken() > 0,
  same: one.value === two.value && one.gradient.data.every((g, i) => Object.is(g, two.gradient.data[i])),
};
document.title = JSON.stringify(found);
`;

let browser: Browser | undefined;
let server: Server;
let program: string;

beforeAll(async () => {
  const chromium = findChromium();
  if (!chromium) return;
  const { outputFiles } = await build({
    ...{ stdin: { contents: PROGRAM, resolveDir: "." }, bundle: true, write: false },
    ...{ format: "esm", target: "es2022", platform: "browser" },
  });
  program = outputFiles[0]!.text;
  server = createServer(({ url }, response) => {
    if (url === "/isolated") {
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    }
    response.setHeader("Content-Type", "text/html");
    response.end(`<!doctype html><title></title><script type="module">${program.replaceAll("</", "<\\/")}</script>`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  browser = await launch(chromium);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  server?.close();
});

describe.each([
  ["isolated", { shared: true, taken: true, same: true }],
  ["plain", { shared: false, taken: false, same: true }],
])("a page, %s", (path, wanted) => {
  test("has the same numbers by two threads as by one", async (context: TestContext) => {
    if (!browser) return context.skip(NO_CHROMIUM);
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`);
    await page.waitForFunction("document.title !== ''", undefined, { timeout: 40_000 });
    expect(JSON.parse(await page.title())).toEqual(wanted);
    await page.close();
  }, 60_000);
});
