import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type ReportData, renderReport, writeReport } from "../../src/report/index.ts";
import { plainRun, quickstart, unregularized } from "./example.ts";

describe("renderReport", () => {
  it("gives the same file for the same data", () => {
    expect(renderReport(quickstart)).toBe(renderReport(structuredClone(quickstart)));
  });

  it.each([
    ["quickstart", quickstart],
    ["plain", plainRun],
    ["unregularized", unregularized],
  ])("needs nothing from outside: %s", (_, data) => {
    const page = renderReport(data);
    expect(page).not.toMatch(/\b(?:src|srcset|href|action|data|poster)\s*=\s*["']?\s*(?:https?:)?\/\//i);
    expect(page).not.toMatch(/@import|url\(\s*["']?(?!#)/i);
    expect(page).toContain("default-src 'none'");
  });

  it("stays small beside its data", () => {
    const numbers = quickstart.runs.flatMap(({ metrics }) => metrics).length * 5 * 2 * 8;
    expect(renderReport(quickstart).length).toBeLessThan(250_000);
    expect(renderReport(unregularized).length).toBeLessThan(100_000);
    expect(renderReport(quickstart).length).toBeLessThan(110_000 + numbers);
  });

  it("shows each step of a long run only as part of a mean", () => {
    const [run] = plainRun.runs;
    const metrics = Array.from({ length: 40 }, (_, i) =>
      run!.metrics.map((row) => ({ ...row, step: row.step + 250 * i })),
    ).flat();
    const page = renderReport({ ...plainRun, runs: [{ ...run!, metrics }] });
    expect(page).toContain("Each point is the mean of 10 steps.");
    expect(page.length).toBeLessThan(250_000);
  });

  it("leaves out what there is no data for", () => {
    const plain = renderReport(plainRun);
    expect(plain).not.toContain("Kept against learned");
    expect(plain).toContain('id="chart-kl-divergence"');
    expect(plain).toContain("In its own words");
    expect(plain).not.toContain("by the strict measure");
    const bare = renderReport(unregularized);
    expect(bare).not.toContain('id="chart-kl-divergence"');
    expect(bare).toContain("Loss = cross-entropy");
    expect(bare).not.toContain("In its own words");
    const empty = renderReport({ ...unregularized, runs: [] });
    expect(empty).not.toContain("curves-data");
  });

  it("explains the measures that it shows, and no others", () => {
    const [run] = unregularized.runs;
    const metrics = run!.metrics.map((row) => ({ ...row, "mine/js_divergence": 0.1, consistency: 0.2 }));
    const page = renderReport({ ...unregularized, runs: [{ ...run!, metrics }] });
    for (const term of ["Jensen–Shannon divergence", "Consistency"]) expect(page).toContain(`<dt>${term}</dt>`);
    for (const term of ["Entropy", "Orthogonality"]) expect(page).not.toContain(`<dt>${term}</dt>`);
  });

  it("writes the direction of a KL as a formula", () => {
    expect(renderReport(quickstart)).toContain("KL(reference‖model)");
  });

  it("escapes every string of its data", () => {
    const evil = `</script><img src=x onerror=alert(1)>"'&`;
    const page = renderReport(poisoned(quickstart, evil));
    expect(page).not.toContain("<img");
    expect(page).not.toMatch(/<[^<>]*onerror=alert\(1\)>/);
    expect(page.match(/<\/script>/g)).toHaveLength(4);
    expect(page.match(/<script/g)).toHaveLength(4);
  });

  it("makes the invisible visible in completions", () => {
    const completions = { first: { text: "a\u0000b\u001bc", right: null } };
    const page = renderReport({ ...plainRun, samples: [{ skill: null, prompt: "p", expected: null, completions }] });
    expect(page).toContain("a␀b␛c");
  });

  it("survives measurements that are no numbers", () => {
    const [run] = plainRun.runs;
    const metrics = run!.metrics.map((row, i) =>
      i > 200 ? { ...row, loss: Number.NaN, kl_divergence: Number.POSITIVE_INFINITY } : row,
    );
    const page = renderReport({ ...plainRun, runs: [{ ...run!, metrics }] });
    expect(page).not.toMatch(/NaN|Infinity(?=[,\]<])/);
  });
});

describe("writeReport", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "klamp-report-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("leaves the file and nothing else", () => {
    const path = join(folder, "report.html");
    writeReport(path, plainRun);
    writeReport(path, quickstart);
    expect(readFileSync(path, "utf8")).toBe(renderReport(quickstart));
    expect(readdirSync(folder)).toEqual(["report.html"]);
  });

  it("says where it could not write", () => {
    expect(() => writeReport(join(folder, "missing", "report.html"), plainRun)).toThrow(UserError);
    mkdirSync(join(folder, "taken"));
    expect(() => writeReport(join(folder, "taken"), plainRun)).toThrow(/cannot write the report .*taken/);
    expect(readdirSync(folder)).toEqual(["taken"]);
  });
});

/** The same data with `text` put into every string and every free key. */
function poisoned(data: ReportData, text: string): ReportData {
  const free = new Set(["facts", "skills", "completions"]);
  const poison = (value: unknown, key: string): unknown => {
    if (typeof value === "string") return value + text;
    if (Array.isArray(value)) return value.map((item) => poison(item, ""));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [free.has(key) ? name + text : name, poison(item, name)]),
    );
  };
  return poison(data, "") as ReportData;
}
