import type { RunData, StepData } from "./data.ts";

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
  readonly of: (step: StepData) => number | null | undefined;
};

const LOSS: Quantity = { id: "loss", title: "Loss", unit: "nats per token", of: ({ loss }) => loss };

const REGULARIZED: readonly Quantity[] = [
  LOSS,
  { id: "cross-entropy", title: "Cross-entropy", unit: "nats per token", of: ({ cross_entropy }) => cross_entropy },
  { id: "kl", title: "KL divergence", unit: "nats per token", of: ({ kl_divergence }) => kl_divergence },
];

/** What other regularizers measure, under whatever name; of several that measure the same the first. */
const MEASURED: readonly Quantity[] = [
  { metric: "js_divergence", title: "Jensen–Shannon divergence", unit: "nats per token" },
  { metric: "entropy", title: "Entropy", unit: "nats per token" },
  { metric: "consistency", title: "Consistency", unit: "nats per token" },
  { metric: "orthogonality", title: "Orthogonality", unit: "of the adapter" },
  { metric: "l1", title: "L1 norm", unit: "of the adapter" },
  { metric: "l2", title: "L2 penalty", unit: "of the adapter" },
  { metric: "elastic_net", title: "Elastic net", unit: "of the adapter" },
].map(({ metric, title, unit }) => ({
  id: metric.replace("_", "-"),
  title,
  unit,
  small: true,
  of: (step) => Object.entries(step).find(([name]) => name === metric || name.endsWith(`/${metric}`))?.[1],
}));

const WEIGHT = "weight";

/** The weights that move in any run. A run's only regularizer puts no name before its metrics. */
function movingWeights(runs: readonly RunData[]): Quantity[] {
  const moving = new Map<string, string>();
  for (const { metrics } of runs) {
    const keys = [...new Set(metrics.flatMap((row) => Object.keys(row)))];
    const named = keys.filter((key) => key.endsWith("/weight"));
    for (const key of named.length > 0 ? named : ["weight"]) {
      if (new Set(metrics.map((row) => row[key]).filter(isNumber)).size < 2) continue;
      const only = keys.includes("kl_divergence") ? "the KL" : "the regularizer";
      moving.set(key, key === "weight" ? only : key.slice(0, -"/weight".length));
    }
  }
  return [...moving].map(([key, of], i) => ({
    id: i === 0 ? WEIGHT : `${WEIGHT}-${i + 1}`,
    title: "Weight",
    unit: `of ${of}`,
    small: true,
    of: (step) => step[key],
  }));
}

const SMALL: readonly Quantity[] = [
  { id: "grad-norm", title: "Gradient norm", unit: "before clipping", small: true, of: ({ grad_norm }) => grad_norm },
  { id: "learning-rate", title: "Learning rate", unit: "", small: true, of: ({ learning_rate }) => learning_rate },
  {
    id: "speed",
    title: "Speed",
    unit: "tokens per second",
    small: true,
    of: ({ tokens_per_second }) => tokens_per_second,
  },
];

/** Chosen, not measured: there is no noise in them. */
const isExact = (id: string) => id === "learning-rate" || id.startsWith(WEIGHT);

/** More points than this are not seen, and would only make the file large. */
const MOST_POINTS = 1000;

/**
 * What the charts draw. Where the loss is the cross-entropy alone it is drawn once; a weight is drawn if it moves in any
 * run.
 */
export function buildCurves(runs: readonly RunData[]): Curves {
  const every = [...new Set(runs.flatMap(({ metrics }) => metrics.map(({ step }) => step)))].sort((a, b) => a - b);
  const stride = Math.ceil(every.length / MOST_POINTS);
  const groups = Array.from({ length: Math.ceil(every.length / stride) || 0 }, (_, i) =>
    every.slice(i * stride, (i + 1) * stride),
  );
  const regularized = runs.some(({ metrics }) =>
    metrics.some(({ loss, cross_entropy, kl_divergence }) => isNumber(kl_divergence) || loss !== cross_entropy),
  );
  const large = regularized ? REGULARIZED : [{ ...LOSS, title: "Loss = cross-entropy" }];
  const byStep = runs.map(({ name, metrics }) => ({ name, at: new Map(metrics.map((row) => [row.step, row])) }));

  const charts = [...large, ...MEASURED, ...movingWeights(runs), ...SMALL].map(
    ({ of, small = false, ...chart }): Chart => {
      const curves = byStep
        .map(({ name, at }) => {
          const value = (step: number) => {
            const row = at.get(step);
            return row && of(row);
          };
          return { name, raw: groups.map((steps) => mean(steps.map(value))) };
        })
        .filter(({ raw }) => raw.some(isNumber))
        .map(({ name, raw }): Curve => {
          const smoothed = isExact(chart.id) ? null : smooth(raw);
          return { run: name, raw: raw.map(round), smooth: smoothed?.map(round) ?? null };
        });
      return { ...chart, small, log: !small && spansDecades(curves), curves };
    },
  );
  return {
    steps: groups.map((steps) => steps.at(-1)!),
    stride,
    charts: charts.filter(({ curves }) => curves.length > 0),
  };
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
