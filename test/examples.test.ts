import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { runCommandLine } from "../src/cli/program.ts";
import { loadConfig } from "../src/config/file.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TSX = join(ROOT, "node_modules/tsx/dist/cli.mjs");
const run = promisify(execFile);

/** Runs a TypeScript file as its reader would, on the built package. */
async function stdout(file: string): Promise<string> {
  return (await run(process.execPath, [TSX, file], { cwd: ROOT })).stdout;
}

/** A table of training on a regularizer: 0 at the base, and above 0 once the model has moved. */
const trained = (name: string) =>
  new RegExp(
    `^step 1 {2}cross-entropy \\d\\.\\d+ {2}${name} 0\\.0000\\n[^]*step 20 {2}cross-entropy \\d\\.\\d+ {2}${name} (?!0\\.0000)\\d`,
  );

describe("examples run as they are", () => {
  const expected: Record<string, RegExp> = {
    "divergence.ts": /KL\(model‖reference\) = 0\.106440 nats[\s\S]*0\.121777[\s\S]*0\.027866/,
    "three-references.ts": /given {4}KL (\S+) .*\nfield {4}KL \1 .*\ncomputed KL \1 /,
    "squared-error.ts": trained("squared_error"),
    "wasserstein.ts": trained("wasserstein"),
    "mmd.ts": trained("mmd"),
    "train-with-kl.ts": /step 1 {2}cross-entropy \d\.\d+\n[\s\S]*step 20 {2}cross-entropy \d\.\d+/,
  };

  it("all of them are listed here", () => {
    expect(readdirSync(join(ROOT, "examples")).filter((name) => name.endsWith(".ts"))).toEqual(
      Object.keys(expected).sort(),
    );
  });

  it("fine-tune.yaml", async () => {
    const output = join(mkdtempSync(join(tmpdir(), "klamp-example-")), "run");
    const shell = {
      out: { write: () => true },
      err: { write: () => true },
      signal: new AbortController().signal,
      now: () => performance.now(),
    };
    const sets = ["--set", "train.steps=2", "--set", `output=${output}`];
    expect(await runCommandLine(["train", "--config", join(ROOT, "examples/fine-tune.yaml"), ...sets], shell)).toBe(0);
    expect(readdirSync(output).sort()).toEqual([
      "adapter",
      "anchors.jsonl",
      "checkpoint-2",
      "config.yaml",
      "metrics.jsonl",
      "report.html",
      "run.json",
      "summary.json",
    ]);
  });

  const lines = (file: string, from = "") => {
    const code = readFileSync(join(ROOT, "examples", file), "utf8");
    return code
      .slice(code.indexOf(from))
      .split("\n")
      .filter((line) => line.trim() !== "" && !line.startsWith("//"));
  };

  it("a regularizer of one's own is at most 15 lines, training with a KL at most 12", () => {
    for (const file of readdirSync(join(ROOT, "examples/own"))) {
      expect(lines(join("own", file), "export function").indexOf("}"), file).toBeLessThan(15);
    }
    expect(lines("train-with-kl.ts").length).toBeLessThanOrEqual(12);
  });

  for (const [name, pattern] of Object.entries(expected)) {
    it(name, async () => {
      expect(await stdout(join("examples", name))).toMatch(pattern);
    });
  }
});

describe("the README", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = (language: string) =>
    [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)].flatMap(([, of, code]) => (of === language ? [code!] : []));

  it("has TypeScript that runs", async () => {
    const folder = join(ROOT, "runs/.readme");
    mkdirSync(folder, { recursive: true });
    for (const [i, code] of blocks("ts").entries()) {
      const file = join(folder, `${i}.ts`);
      // On the shipped model and data, for two steps.
      const own = code
        .replace(/^(klDivergence\(.*\));/m, "console.log($1);")
        .replaceAll("./my-model", join(ROOT, "models/small-world"))
        .replace("./train.jsonl", join(ROOT, "data/small-world/task/train.jsonl"))
        .replace("./adapter", join(folder, "adapter"))
        .replace("await train({", "await train({ steps: 2,");
      writeFileSync(file, own);
      const said = await stdout(file);
      if (code.includes("klDivergence(")) expect(said).toMatch(/^0\.106440/);
      else expect(readdirSync(join(folder, "adapter"))).toContain("adapter_model.safetensors");
    }
    rmSync(folder, { recursive: true });
    expect(blocks("ts")).toHaveLength(2);
  });

  it("has a configuration that is one", () => {
    const file = join(mkdtempSync(join(tmpdir(), "klamp-readme-")), "my.yaml");
    for (const yaml of blocks("yaml")) {
      writeFileSync(file, yaml);
      expect(loadConfig(file).regularizers).toHaveLength(2);
    }
    expect(blocks("yaml")).toHaveLength(1);
  });

  it("has links that lead somewhere", () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path]) => path!);
    expect(links.length).toBeGreaterThan(5);
    for (const path of links) expect(() => readFileSync(join(ROOT, path)), path).not.toThrow(/ENOENT/);
  });
});
