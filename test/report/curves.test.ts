import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildCurves, smooth } from "../../src/report/curves.ts";
import { plainRun, quickstart, unregularized } from "./example.ts";

describe("smooth", () => {
  it("keeps a constant, and the mean's bounds", () => {
    const values = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 60, maxLength: 200 });
    fc.assert(
      fc.property(values, (values) => {
        const [least, most] = [Math.min(...values) - 1e-9, Math.max(...values) + 1e-9];
        expect(smooth(values)!.every((value) => value! >= least && value! <= most)).toBe(true);
      }),
    );
    expect(smooth(Array(90).fill(2))!.every((value) => Math.abs(value! - 2) < 1e-12)).toBe(true);
  });

  it("does not shift: a straight line stays where it is, away from the ends", () => {
    const line = Array.from({ length: 300 }, (_, i) => i);
    expect(
      smooth(line)!
        .slice(30, -30)
        .every((value, i) => Math.abs(value! - (i + 30)) < 1e-9),
    ).toBe(true);
  });

  it("keeps gaps, and lets them weigh nothing", () => {
    const values = Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? null : 5));
    smooth(values)!.forEach((value, i) => {
      if (i % 3 === 0) expect(value).toBeNull();
      else expect(value).toBeCloseTo(5, 12);
    });
  });

  it("leaves few values alone", () => expect(smooth([1, 2, 3])).toBeNull());
});

describe("buildCurves", () => {
  it("draws a KL only of runs that have one", () => {
    const { charts } = buildCurves(quickstart);
    const runsOf = (id: string) => charts.find((chart) => chart.id === id)?.curves.map(({ run }) => run);
    expect(runsOf("cross-entropy")).toEqual(["without KL", "with KL", "with anchor"]);
    expect(runsOf("kl-divergence")).toEqual(["with KL", "with anchor"]);
    expect(buildCurves(unregularized).charts.map(({ id }) => id)).toEqual([
      "loss",
      "grad-norm",
      "learning-rate",
      "speed",
    ]);
  });

  it("draws what other regularizers measure, under whatever name, and then a loss that is not the cross-entropy", () => {
    const [run] = unregularized.runs;
    const measuring = (more: Record<string, number>, loss = 2) => ({
      ...run!,
      metrics: run!.metrics.map((row) => ({ ...row, cross_entropy: 2, loss, ...more })),
    });
    const drawn = (more: Record<string, number>, loss?: number) =>
      buildCurves({ ...plainRun, runs: [measuring(more, loss)] }).charts.map(({ id, title, curves }) => [
        id,
        title,
        curves[0]!.raw[0],
      ]);
    expect(drawn({ js_divergence: 0.3 }, 2.5).slice(0, 3)).toEqual([
      ["loss", "Loss", 2.5],
      ["cross-entropy", "Cross-entropy", 2],
      ["js-divergence", "Jensen–Shannon divergence", 0.3],
    ]);
    const several = drawn({ "wide/entropy": 1.5, "narrow/entropy": 1, "l2/l2": 7, "apart/orthogonality": 4 });
    expect(several.slice(0, 5)).toEqual([
      ["loss", "Loss", 2],
      ["cross-entropy", "Cross-entropy", 2],
      ["entropy", "Entropy", 1.5],
      ["orthogonality", "Orthogonality", 4],
      ["l2", "L2 penalty", 7],
    ]);
    expect(drawn({ l2: 7 }).slice(0, 2)).toEqual([
      ["loss", "Loss = cross-entropy", 2],
      ["l2", "L2 penalty", 7],
    ]);
  });

  it("draws the weight when that of any run moves, as it was", () => {
    const [free, held] = quickstart.runs;
    const weighed = (weight: (step: number) => number) => ({
      ...held!,
      metrics: held!.metrics.map((row) => ({ ...row, weight: weight(row.step) })),
    });
    const drawn = (...runs: (typeof free)[]) =>
      buildCurves({ ...plainRun, runs: runs as typeof quickstart.runs }).charts.find(({ id }) => id === "weight");
    expect(
      drawn(
        free,
        weighed(() => 0.5),
      ),
    ).toBeUndefined();
    const moving = drawn(
      free,
      weighed((step) => step),
    );
    expect(moving?.curves.map(({ run, raw, smooth }) => [run, raw[2], smooth])).toEqual([["with KL", 3, null]]);
  });

  it("draws each weight that moves, and says whose it is", () => {
    const [run] = plainRun.runs;
    const drawn = (more: (step: number) => Record<string, number>) => {
      const metrics = run!.metrics.map(({ step, loss, cross_entropy }) => ({
        step,
        loss,
        cross_entropy,
        ...more(step),
      }));
      const { charts } = buildCurves({
        ...plainRun,
        runs: [{ ...run!, metrics }] as unknown as typeof plainRun.runs,
      });
      return charts
        .filter(({ title }) => title === "Weight")
        .map(({ id, unit, curves }) => [id, unit, curves[0]!.raw[2]]);
    };
    expect(drawn((step) => ({ kl_divergence: 1, weight: step }))).toEqual([["weight", "of the regularizer", 3]]);
    expect(drawn((step) => ({ js_divergence: 1, weight: step }))).toEqual([["weight", "of the regularizer", 3]]);
    const several = (step: number) => ({ "kl/weight": 1, "js/weight": step, "l2/weight": 2 * step });
    expect(drawn((step) => ({ kl_divergence: 1, weight: 1, ...several(step) }))).toEqual([
      ["weight", "of js", 3],
      ["weight-2", "of l2", 6],
    ]);
  });

  it("puts runs of different steps on one axis", () => {
    const [run] = plainRun.runs;
    const early = { ...run!, name: "early", metrics: run!.metrics.slice(0, 2) };
    const late = { ...run!, name: "late", metrics: run!.metrics.slice(1, 4) };
    const { steps, charts } = buildCurves({ ...plainRun, runs: [early, late] });
    expect(steps).toEqual([1, 2, 3, 4]);
    expect(charts[0]!.curves.map(({ raw }) => raw.map((value) => value !== null))).toEqual([
      [true, true, false, false],
      [false, true, true, true],
    ]);
  });

  it("takes means where there are more steps than points", () => {
    const [run] = plainRun.runs;
    const metrics = Array.from({ length: 2500 }, (_, i) => ({ ...run!.metrics[0]!, step: i + 1, grad_norm: i }));
    const { steps, stride, charts } = buildCurves({ ...plainRun, runs: [{ ...run!, metrics }] });
    expect([stride, steps.length, steps[0], steps.at(-1)]).toEqual([3, 834, 3, 2500]);
    expect(charts.find(({ id }) => id === "grad-norm")!.curves[0]!.raw.slice(0, 2)).toEqual([1, 4]);
  });
});
