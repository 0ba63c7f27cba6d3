/** Takes docs/images/report.png from a quickstart's report: `npm run report-picture -- runs/quickstart/report.html`. Needs Chromium. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const report = process.argv[2] ?? "runs/quickstart/report.html";
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
const page = await browser.newPage({ viewport: { width: 1100, height: 1560 }, colorScheme: "light" });
await page.goto(pathToFileURL(resolve(report)).href);
await page.screenshot({ path: "docs/images/report.png" });
await browser.close();
