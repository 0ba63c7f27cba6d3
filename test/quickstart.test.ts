import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommandLine } from "../src/cli/program.ts";
import type { Summary } from "../src/drift/summary.ts";
import { readAdapter } from "../src/engine/local/files/adapter.ts";
import { readModelConfig } from "../src/engine/local/files/model-config.ts";

/** The main job as it is shipped, on the shipped model: what `npm start` runs. */
describe("klamp quickstart", { timeout: 900_000 }, () => {
  const folder = join(mkdtempSync(join(tmpdir(), "klamp-quickstart-")), "run");
  let printed = "";
  let summary: Summary & { readonly seed: number; readonly versions: object; readonly seconds: number };

  beforeAll(async () => {
    const shell = {
      out: { write: (text: string) => (printed += text) },
      err: { write: () => true },
      signal: new AbortController().signal,
      now: () => performance.now(),
    };
    expect(await runCommandLine(["quickstart", "--output", folder], shell)).toBe(0);
    summary = JSON.parse(readFileSync(join(folder, "summary.json"), "utf8"));
  }, 900_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("starts from a base that can do at least seven things", () => {
    const able = Object.values(summary.base.skills).filter((share) => share >= 0.9);
    expect(able.length).toBeGreaterThanOrEqual(7);
    expect(summary.base.task).toBeLessThan(0.1);
    expect(summary.base.drift).toBe(0);
  });

  it("forgets without KL, keeps most with it, and nearly all with an anchor", () => {
    const [without, held, anchored] = summary.runs;
    expect(without!.weight).toBe(0);
    expect(without!.retention).toBeLessThanOrEqual(0.4);
    expect(without!.task).toBeGreaterThanOrEqual(0.85);
    expect(held).toMatchObject({ regularizer: "KL(reference‖model)", text: "completions" });
    expect(held!.retention).toBeGreaterThanOrEqual(0.75);
    expect(held!.task).toBeGreaterThanOrEqual(0.55);
    expect(anchored).toMatchObject({ regularizer: "KL(reference‖model)", text: "anchor" });
    expect(anchored!.retention).toBeGreaterThanOrEqual(0.93);
    expect(anchored!.task).toBeGreaterThanOrEqual(0.85);
    expect(without!.drift! > held!.drift! && held!.drift! > anchored!.drift!).toBe(true);
  });

  it("says so", () => {
    expect(printed).toContain(summary.conclusion);
    expect(printed).toMatch(/kept of the base +100 % +\d+ % +\d+ % +\d+ %/);
    expect(summary.conclusion).toMatch(/without KL keeps \d+ % .* with anchor, keeps \d+ %/);
  });

  it("leaves a run folder each, with metrics of every step and an adapter that loads", async () => {
    const runs = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(runs.map(({ name }) => name).sort()).toEqual(["with-KL", "with-anchor", "without-KL"]);
    const config = await readModelConfig("models/small-world");
    for (const { name } of runs) {
      const lines = readFileSync(join(folder, name, "metrics.jsonl"), "utf8")
        .trim()
        .split("\n");
      const rows = lines.map((line) => JSON.parse(line) as Record<string, number>);
      expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: rows.length }, (_, i) => i + 1));
      // But for the last digits: what is kept of the base was read alone.
      expect(rows[0]!.kl_divergence).toBeLessThan(1e-9);
      for (const key of [
        "loss",
        "cross_entropy",
        "kl_max",
        "kl_min",
        "grad_norm",
        "learning_rate",
        "tokens_per_second",
      ]) {
        expect(
          rows.every((row) => Number.isFinite(row[key])),
          key,
        ).toBe(true);
      }
      const adapter = await readAdapter(join(folder, name, "adapter"), config);
      expect(adapter.matrices.size).toBe(4 * 7 * 2);
      expect(readFileSync(join(folder, name, "config.yaml"), "utf8")).toContain("learning_rate");
    }
    expect(readFileSync(join(folder, "report.html"), "utf8")).toContain("<!doctype html>");
  });
});
