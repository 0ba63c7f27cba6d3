import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { percent } from "../../src/report/format.ts";
import { type ReportData, writeReport } from "../../src/report/index.ts";
import { findChromium, launch, NO_CHROMIUM } from "../browser.ts";
import { plainRun, quickstart, unregularized } from "./example.ts";

/** @file The report as a person meets it: opened from disk in a real browser. */

/** A loss that runs through all that a float64 holds, for the logarithmic scale. */
const extreme: ReportData = {
  ...plainRun,
  runs: plainRun.runs.map((run) => ({
    ...run,
    metrics: run.metrics.map((row, i, { length }) => ({
      ...row,
      loss: 10 ** ((-320 * i) / length),
      cross_entropy: -1,
    })),
  })),
};

const cases: readonly (readonly [string, ReportData])[] = [
  ["quickstart", quickstart],
  ["plain", plainRun],
  ["unregularized", unregularized],
];

/** Seven models, most of them nearly alike. */
const crowded: ReportData = {
  ...quickstart,
  scores: {
    ...quickstart.scores!,
    columns: [
      ...quickstart.scores!.columns,
      ...["weight 0.5", "800 samples", "200 samples"].map((name) => ({ ...quickstart.scores!.columns[3]!, name })),
    ],
  },
};

describe("the page in a browser", () => {
  const chromium = findChromium();
  const folder = mkdtempSync(join(tmpdir(), "klamp-page-"));
  let browser: Browser | undefined;
  beforeAll(async () => {
    for (const [name, data] of [...cases, ["crowded", crowded] as const, ["extreme", extreme] as const])
      writeReport(join(folder, `${name}.html`), data);
    browser = chromium === undefined ? undefined : await launch(chromium);
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach((ctx) => {
    if (!browser) ctx.skip(NO_CHROMIUM);
  });

  /** Opens a report and hands it to `look`; fails if the page asked for anything or complained. */
  async function open(
    name: string,
    options: { width?: number; colorScheme?: "light" | "dark" },
    look: (page: Page) => Promise<void>,
  ) {
    const { width = 1280, colorScheme = "light" } = options;
    const page = await browser!.newPage({ viewport: { width, height: 900 }, colorScheme });
    const address = pathToFileURL(join(folder, `${name}.html`)).href;
    const troubles: string[] = [];
    page.on("console", (message) => troubles.push(message.text()));
    page.on("pageerror", (error) => troubles.push(String(error)));
    page.on("request", (request) => {
      if (request.url() !== address && !request.url().startsWith("data:")) troubles.push(request.url());
    });
    try {
      await page.goto(address);
      await look(page);
      expect(troubles).toEqual([]);
    } finally {
      await page.close();
    }
  }

  it.each(cases)("draws every chart: %s", (name, data) =>
    open(name, {}, async (page) => {
      const inked = await page.evaluate<number[]>(INKED_PIXELS);
      expect(inked.length).toBe(data === unregularized ? 4 : 6);
      for (const pixels of inked) expect(pixels).toBeGreaterThan(500);
    }),
  );

  it("draws values from 1 to 1e-320, and values of which no logarithm is known, on a logarithmic scale", () =>
    open("extreme", {}, async (page) => {
      await page.evaluate("document.querySelectorAll('figure button').forEach((button) => button.click())");
      const inked = await page.evaluate<number[]>(INKED_PIXELS);
      expect(inked.length).toBeGreaterThan(1);
    }));

  it("shows in its table the numbers of the data", () =>
    open("quickstart", {}, async (page) => {
      const { skills, columns, task } = quickstart.scores!;
      const rows = await page.evaluate<Record<string, string[]>>(TABLE);
      for (const skill of skills) {
        expect(rows[skill]).toEqual(columns.map((column) => percent(column.skills[skill]!.strict)));
      }
      expect(rows[task]).toEqual(columns.map((column) => percent(column.task.strict)));
      expect(rows["kept (mean)"]).toEqual(columns.map(({ retention }) => percent(retention)));
      expect(rows["drift nats per token"]).toEqual(["0", "6.31", "0.412", "0.0213"]);
    }));

  it.each(["light", "dark"] as const)("has the contrast of WCAG AA everywhere: %s", (colorScheme) =>
    open("quickstart", { colorScheme }, async (page) => {
      const { checked, weak } = await page.evaluate<{ checked: number; weak: string[] }>(WEAK_CONTRASTS);
      expect(checked).toBeGreaterThan(150);
      expect(weak).toEqual([]);
    }),
  );

  it.each([
    [390, "quickstart"],
    [390, "plain"],
    [390, "crowded"],
    [768, "quickstart"],
    [1280, "quickstart"],
    [1280, "unregularized"],
  ])("does not scroll sideways at %d px: %s", (width, name) =>
    open(name, { width }, async (page) => {
      expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
    }),
  );

  it("shows the values under the cursor, in all charts at once", () =>
    open("quickstart", {}, async (page) => {
      const step = page.locator(".note .step");
      expect(await step.textContent()).toBe("250");
      await page.locator("#chart-loss .u-over").hover();
      const at = Number(await step.textContent());
      expect(at).toBeGreaterThan(100);
      expect(at).toBeLessThan(150);
      const speed = quickstart.runs[0]!.metrics[at - 1]!.tokens_per_second;
      expect(await page.locator("#chart-speed .value").first().textContent()).toBe(
        Math.round(speed).toLocaleString("en"),
      );
    }));

  it("switches theme and scale by keyboard", () =>
    open("quickstart", {}, async (page) => {
      const paper = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
      const before = await paper();
      const theme = page.getByRole("button", { name: "Switch to dark colours" });
      await theme.focus();
      await page.keyboard.press("Enter");
      expect(await paper()).not.toBe(before);
      const scale = page.getByRole("button", { name: "Logarithmic scale for KL divergence" });
      expect(await scale.getAttribute("aria-pressed")).toBe("true");
      await scale.focus();
      await page.keyboard.press("Space");
      expect(await scale.getAttribute("aria-pressed")).toBe("false");
      expect(Math.min(...(await page.evaluate<number[]>(INKED_PIXELS)))).toBeGreaterThan(500);
    }));

  it("tells assistive technology what the pictures show", () =>
    open("quickstart", {}, async (page) => {
      expect(
        await page.getByRole("img", { name: /Kept against learned.*with anchor: kept 98.%, learned 97.%/ }).count(),
      ).toBe(1);
      expect(await page.getByRole("img", { name: /over 250 steps/ }).count()).toBe(6);
      expect(await page.getByRole("cell", { name: /5.%.*5.% of the base’s accuracy kept/ }).count()).toBeGreaterThan(0);
    }));

  it("writes every model's name into the picture, clear of all others", () =>
    open("crowded", { width: 390 }, async (page) => {
      const boxes =
        await page.evaluate<{ name: string; left: number; right: number; top: number; bottom: number }[]>(NAMES);
      expect(boxes.map(({ name }) => name)).toEqual(crowded.scores!.columns.map(({ name }) => name));
      const touching = boxes.flatMap((a, i) =>
        boxes.slice(i + 1).filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom),
      );
      expect(touching).toEqual([]);
    }));

  it("prints on white, also from a dark screen", () =>
    open("quickstart", { colorScheme: "dark" }, async (page) => {
      const drawing = () => page.evaluate<string>('document.querySelector(".plot canvas").toDataURL()');
      const screen = await drawing();
      await page.evaluate("dispatchEvent(new Event('beforeprint'))");
      await expect.poll(drawing).not.toBe(screen);
      await page.evaluate("dispatchEvent(new Event('afterprint'))");
      await expect.poll(drawing).toBe(screen);
      await page.emulateMedia({ media: "print", colorScheme: "dark" });
      expect(await page.evaluate<string>("getComputedStyle(document.body).backgroundColor")).toBe("rgb(255, 255, 255)");
    }));
});

// What runs in the page is a string: the project's types know no document.

/** Pixels of each chart that are not empty. */
const INKED_PIXELS = `[...document.querySelectorAll(".plot canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((inked, value, i) => inked + (i % 4 === 3 && value > 0 ? 1 : 0), 0);
})`;

/** The score table: the strict numbers of each row by its name. */
const TABLE = `Object.fromEntries([...document.querySelectorAll(".scores tbody tr:not(.group)")].map((row) =>
  [row.querySelector("th").innerText.replace(/\\s+/g, " "), [...row.querySelectorAll("td b")].map((cell) => cell.textContent)]))`;

/** Where the picture's labels stand; a text's box has room above and below its letters that may overlap. */
const NAMES = `[...document.querySelectorAll(".trade-off .name")].map((label) => {
  const { left, right, top, bottom } = label.getBoundingClientRect();
  return { name: label.textContent, left, right, top: top + 1, bottom: bottom - 1 };
})`;

/**
 * Every visible text with a contrast below 4.5. Colours are painted on a canvas, so that any notation becomes sRGB bytes; the
 * background is that of the nearest ancestors, one over the other.
 */
const WEAK_CONTRASTS = `(() => {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const paint = (colors) => {
    context.clearRect(0, 0, 1, 1);
    for (const color of colors) { context.fillStyle = color; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => rgb
    .map((byte) => byte / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const backgrounds = (element) => element === null ? [] : [...backgrounds(element.parentElement), getComputedStyle(element).backgroundColor];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const weak = [];
  let checked = 0;
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (text === "" || element.getClientRects().length === 0 || element.closest("script, style, .unseen")) continue;
    const style = getComputedStyle(element);
    const behind = backgrounds(element);
    const ink = element.closest("svg") ? style.fill : style.color;
    const [a, b] = [luminance(paint([...behind, ink])), luminance(paint(behind))].sort((a, b) => b - a);
    const ratio = (a + 0.05) / (b + 0.05);
    checked += 1;
    if (!(ratio >= 4.5)) weak.push(text + ": " + ratio.toFixed(2));
  }
  return { checked, weak };
})()`;
