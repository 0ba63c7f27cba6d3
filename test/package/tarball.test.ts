import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix, sep } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { execute, MANIFEST, pack, ROOT } from "./npm.ts";

/** @file What is published, and that npm has nothing to say against it. */

const folder = mkdtempSync(join(tmpdir(), "klamp-tarball-"));
afterAll(() => rmSync(folder, { recursive: true }));
const { files } = pack(folder);

describe("the tarball", () => {
  const pages = files.filter((path) => path.endsWith(".md"));

  test.each(pages)("has all that %s links to", (page) => {
    const links = [...readFileSync(join(ROOT, page), "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)];
    const targets = links.map(([, target]) => posix.join(dirname(page), target!));
    const missing = targets.filter((target) => !files.some((path) => path === target || path.startsWith(`${target}/`)));
    expect(missing).toEqual([]);
  });

  test("has README.md, the pages of docs/ and the examples, and no tests or sources", () => {
    expect(pages).toContain("README.md");
    for (const shipped of ["docs", "examples"]) {
      const here = readdirSync(join(ROOT, shipped), { recursive: true, withFileTypes: true });
      const paths = here.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
      expect(files).toEqual(expect.arrayContaining(paths.map((path) => path.slice(ROOT.length).replaceAll(sep, "/"))));
    }
    expect(files.filter((path) => /^(src|test|bench|scripts)\//.test(path))).toEqual([]);
  });

  test("has a module and types for each entry, and what each command starts", () => {
    const named = [...Object.values(MANIFEST.exports).flatMap((entry) => Object.values(entry)), MANIFEST.bin.klamp!];
    expect(files).toEqual(expect.arrayContaining(named.map((path) => path.replace("./", ""))));
  });

  test("has what the sources make, and nothing that an earlier build left", () => {
    const sources = readdirSync(join(ROOT, "src"), { encoding: "utf8", recursive: true });
    const known = new Set(sources.map((path) => path.replaceAll(sep, "/")));
    const made = (path: string) => known.has(path.replace(/^dist\//, "").replace(/(\.d)?\.[jt]s$/, ".ts"));
    expect(files.filter((path) => path.startsWith("dist/") && !made(path))).toEqual([]);
  });
});

test("package.json says where the package comes from, what it is about and where faults are reported", () => {
  expect(MANIFEST).toMatchObject({
    repository: { type: "git", url: expect.stringMatching(/^git\+https:\/\/.*\.git$/) },
    homepage: expect.stringMatching(/^https:/),
    bugs: { url: expect.stringMatching(/^https:/) },
    keywords: expect.arrayContaining(["lora", "kl-divergence"]),
  });
});

describe("npm in this repository", () => {
  test("has no warning about its configuration or about install scripts", () => {
    const { code, err } = execute(ROOT, "npm", "ls", "--depth=0");
    expect(code).toBe(0);
    expect(err).not.toMatch(/npm warn (Unknown project config|install-scripts)/);
  });

  test("runs no install scripts, and refuses a Node.js that is too old", () => {
    const settings = ["ignore-scripts", "engine-strict"].map((key) => execute(ROOT, "npm", "config", "get", key).out);
    expect(settings.map((value) => value.trim())).toEqual(["true", "true"]);
  });
});
