import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** @file Links and pictures of every page lead to a file, and to a heading in it where they name one. */

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...readdirSync(join(ROOT, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
];

const read = (page: string) => readFileSync(join(ROOT, page), "utf8");

/** The names that headings have in links. */
function headings(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test.each(PAGES)("%s", (page) => {
  const missing = [...read(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].flatMap(
    ([link, target, anchor]) => {
      const to = target ? join(dirname(page), target) : page;
      const leads = existsSync(join(ROOT, to)) && (anchor === undefined || headings(to).includes(anchor));
      return leads ? [] : [link];
    },
  );
  expect(missing).toEqual([]);
});
