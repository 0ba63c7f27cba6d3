import type { Column, Measure, ReportData, RunData, StepData } from "./data.ts";

/** @file From metrics to what the charts draw. */

/** One quantity over the steps, all runs in it. */
export interface Chart {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  /** A quantity to glance at, drawn smaller. */
  readonly small: boolean;
  /** Whether it starts on a logarithmic scale. */
  readonly log: boolean;
  readonly curves: readonly Curve[];
}

export interface Curve {
  /** The run's name. */
  readonly run: string;
  /** One value per step of the chart; null where the run has none. */
  readonly raw: readonly (number | null)[];
  /** The same with its noise taken out; null when there are too few steps for that. */
  readonly smooth: readonly (number | null)[] | null;
}

export interface Curves {
  readonly steps: readonly number[];
  /** How many steps each value is the mean of. */
  readonly stride: number;
  readonly charts: readonly Chart[];
}

type Quantity = { readonly [key in "id" | "title" | "unit"]: string } & {
  readonly small?: boolean;
  /** Chosen, not measured: there is no noise in it. */
  readonly exact?: boolean;
  /** Measured at some steps alone: the curve goes straight from one to the next. */
  readonly sparse?: boolean;
  readonly of: (step: StepData) => number | null | undefined;
};

/** The value of a metric, under whatever name; of several regularizers that measure the same the first one's. */
export function metricOf(step: StepData, metric: string): number | null | undefined {
  return step[metric] ?? Object.entries(step).find(([name]) => name.endsWith(`/${metric}`))?.[1];
}

/** The measures that any run has. */
export function measuresOf({ runs, measures }: Pick<ReportData, "runs" | "measures">): readonly Measure[] {
  const names = new Set(
    runs.flatMap(({ metrics }) => metrics.flatMap((step) => Object.keys(step).filter((name) => isNumber(step[name])))),
  );
  const isMeasured = (metric: string) => [...names].some((name) => name === metric || name.endsWith(`/${metric}`));
  return measures.filter(({ metric }) => isMeasured(metric));
}

function column(columns: ReportData["columns"], name: Column, more: Partial<Quantity> = {}): Quantity {
  const { title, unit } = columns[name];
  return { id: name.replaceAll("_", "-"), title, unit, of: (step) => step[name], ...more };
}

function measureQuantity({ metric, title, unit }: Measure, small: boolean): Quantity {
  return { id: metric.replaceAll("_", "-"), title, unit, small, of: (step) => metricOf(step, metric) };
}

const WEIGHT = "weight";

/** The weights that move in any run. A run's only regularizer puts no name before its metrics. */
function movingWeights(runs: readonly RunData[]): Quantity[] {
  const moving = new Map<string, string>();
  for (const { metrics } of runs) {
    const keys = [...new Set(metrics.flatMap((row) => Object.keys(row)))];
    const named = keys.filter((key) => key.endsWith("/weight"));
    for (const key of named.length > 0 ? named : [WEIGHT]) {
      if (new Set(metrics.map((row) => row[key]).filter(isNumber)).size < 2) continue;
      moving.set(key, key === WEIGHT ? "the regularizer" : key.slice(0, -"/weight".length));
    }
  }
  return [...moving].map(([key, of], i) => ({
    id: i === 0 ? WEIGHT : `${WEIGHT}-${i + 1}`,
    title: "Weight",
    unit: `of ${of}`,
    small: true,
    exact: true,
    of: (step) => step[key],
  }));
}

/** More points than this are not seen, and would only make the file large. */
const MOST_POINTS = 1000;

/**
 * What the charts draw. Where the loss is the cross-entropy alone it is drawn once; the first measure in the loss's own unit
 * is drawn as large as the loss; a weight is drawn if it moves in any run.
 */
export function buildCurves({
  runs,
  columns,
  measures,
  evaluations = {},
}: Pick<ReportData, "runs" | "columns" | "measures" | "evaluations">): Curves {
  const every = [...new Set(runs.flatMap(({ metrics }) => metrics.map(({ step }) => step)))].sort((a, b) => a - b);
  const stride = Math.ceil(every.length / MOST_POINTS);
  const groups = Array.from({ length: Math.ceil(every.length / stride) || 0 }, (_, i) =>
    every.slice(i * stride, (i + 1) * stride),
  );
  const loss = column(columns, "loss");
  const measured = measuresOf({ runs, measures });
  const leading = measured.find(({ unit }) => unit === loss.unit);
  const regularized = runs.some(({ metrics }) => metrics.some(({ loss, cross_entropy }) => loss !== cross_entropy));
  const quantities = [
    ...(leading || regularized
      ? [loss, column(columns, "cross_entropy")]
      : [{ ...loss, title: `${loss.title} = ${columns.cross_entropy.title.toLowerCase()}` }]),
    ...(leading ? [measureQuantity(leading, false)] : []),
    ...measured.filter((measure) => measure !== leading).map((measure) => measureQuantity(measure, true)),
    ...Object.entries(evaluations).map(([name, { title, unit }]) => ({
      id: name.replaceAll("_", "-"),
      title,
      unit,
      small: true,
      exact: true,
      sparse: true,
      of: (step: StepData) => step[name],
    })),
    ...movingWeights(runs),
    column(columns, "grad_norm", { small: true }),
    column(columns, "learning_rate", { small: true, exact: true }),
    column(columns, "tokens_per_second", { id: "speed", small: true }),
  ];
  const byStep = runs.map(({ name, metrics }) => ({ name, at: new Map(metrics.map((row) => [row.step, row])) }));

  const charts = quantities.map(({ of, small = false, exact = false, sparse = false, ...chart }: Quantity): Chart => {
    const curves = byStep
      .map(({ name, at }) => {
        const value = (step: number) => {
          const row = at.get(step);
          return row && of(row);
        };
        const raw = groups.map((steps) => mean(steps.map(value)));
        return { name, raw: sparse ? joined(raw) : raw };
      })
      .filter(({ raw }) => raw.some(isNumber))
      .map(({ name, raw }): Curve => {
        const smoothed = exact ? null : smooth(raw);
        return { run: name, raw: raw.map(round), smooth: smoothed?.map(round) ?? null };
      });
    return { ...chart, small, log: !small && spansDecades(curves), curves };
  });
  return {
    steps: groups.map((steps) => steps.at(-1)!),
    stride,
    charts: charts.filter(({ curves }) => curves.length > 0),
  };
}

/** Values with those between two of them on the line from one to the other. */
function joined(values: readonly (number | null)[]): (number | null)[] {
  const filled = [...values];
  let last = -1;
  for (const [i, value] of values.entries()) {
    if (value === null) continue;
    for (let between = last + 1; last >= 0 && between < i; between++) {
      const share = (between - last) / (i - last);
      filled[between] = (1 - share) * values[last]! + share * value;
    }
    last = i;
  }
  return filled;
}

/**
 * Gaussian smoothing, centred, so that a curve is not shifted as a running average would: s_i = Σ_j w_ij x_j / Σ_j w_ij
 * with w_ij = exp(−(i − j)² / 2σ²) and σ a sixtieth of the length. Missing values stay missing and weigh nothing.
 * null for fewer than 60 values.
 */
export function smooth(values: readonly (number | null)[]): (number | null)[] | null {
  const sigma = values.length / 60;
  if (sigma < 1) return null;
  const reach = Math.ceil(3 * sigma);
  const kernel = Array.from({ length: reach + 1 }, (_, d) => Math.exp(-((d / sigma) ** 2) / 2));
  return values.map((value, i) => {
    if (value === null) return null;
    let sum = 0;
    let weight = 0;
    for (let j = Math.max(0, i - reach); j <= Math.min(values.length - 1, i + reach); j++) {
      const neighbour = values[j]!;
      if (neighbour === null) continue;
      sum += kernel[Math.abs(i - j)]! * neighbour;
      weight += kernel[Math.abs(i - j)]!;
    }
    return sum / weight;
  });
}

/** Whether the larger part of the values would lie flat on a linear scale. */
function spansDecades(curves: readonly Curve[]): boolean {
  const values = curves.flatMap(
    ({ raw, smooth }) => (smooth ?? raw).filter((value) => value !== null && value > 0) as number[],
  );
  values.sort((a, b) => a - b);
  return values.at(-1)! > 30 * values[Math.floor(values.length / 4)]!;
}

function isNumber(value: number | null | undefined): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

function mean(values: readonly (number | null | undefined)[]): number | null {
  const known = values.filter(isNumber);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

function round(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(5));
}
