import { accessSync, constants } from "node:fs";
import { type Browser, chromium } from "playwright-core";

/** Where Chromium is, or undefined. `CHROMIUM_PATH` overrides the usual places. */
export function findChromium(): string | undefined {
  const places = [
    process.env.CHROMIUM_PATH,
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
  ];
  return places.find((path) => path !== undefined && isExecutable(path));
}

/** Why there is no browser, as a test's reason to be skipped. */
export const NO_CHROMIUM = "no Chromium in /usr/bin and none at $CHROMIUM_PATH";

/** A headless Chromium that talks to no one. */
export function launch(executablePath: string): Promise<Browser> {
  const args = [
    "no-sandbox",
    "disable-gpu",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
  ];
  return chromium.launch({ executablePath, headless: true, args: args.map((name) => `--${name}`) });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
