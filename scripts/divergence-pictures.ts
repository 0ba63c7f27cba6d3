/**
 * @file The pictures of docs/divergences.md, computed by the library itself. `npx tsx scripts/divergence-pictures.ts` writes
 * them into docs/images; a test fails when they are not what this script draws.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createRandom } from "../src/common/random.ts";
import {
  drawnFromModel,
  drawSparseSample,
  jensenShannon,
  klDivergence,
  logSoftmax,
  sampledKL,
  selectTopK,
  sparseKL,
  type Tensor,
  tensor,
  type WithGradient,
} from "../src/divergence/index.ts";

const INK = "#1f2933";
const MUTED = "#6b7785";
const [MODEL, REFERENCE, WRONG, OTHER] = ["#c2410c", "#94a3b8", "#7c3aed", "#0f766e"] as const;

type Point = readonly [x: number, y: number];
interface Curve {
  readonly points: readonly Point[];
  readonly color: string;
  readonly label?: string;
  readonly style?: "line" | "dashed" | "dots" | "area";
}
interface Panel {
  readonly title: string;
  readonly x: string;
  readonly y?: string;
  readonly curves: readonly Curve[];
  /** What the upright axis goes up to at least. */
  readonly ceiling: number;
  /** The side on which the curves are named. Default left. */
  readonly legend?: "right";
  /** Numbers along the axes; none where only the shape matters. */
  readonly ticks?: { readonly x: readonly number[]; readonly y: readonly number[] };
}

const WIDTH = 760;
const HEIGHT = 300;
const GAP = 28;

/** Panels side by side, as one SVG of plain shapes and text. */
function figure(name: string, panels: readonly Panel[]): string {
  const width = (WIDTH - GAP * (panels.length + 1)) / panels.length;
  const drawn = panels.map((each, i) => panel(each, GAP + i * (width + GAP), width));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${name}" font-family="system-ui, sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" rx="6" fill="#fff"/>
${drawn.join("\n")}
</svg>
`;
}

function panel({ title, x, y, curves, ceiling, legend, ticks }: Panel, left: number, width: number): string {
  const from = left + (ticks ? 22 : 0);
  const [top, bottom] = [62, HEIGHT - 46];
  const all = curves.flatMap(({ points }) => points);
  const [x0, x1] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))];
  const y0 = Math.min(0, ...all.map(([, y]) => y));
  const y1 = Math.max(ceiling, ...all.map(([, y]) => y));
  const px = (x: number) => (from + ((x - x0) / (x1 - x0)) * (left + width - from)).toFixed(1);
  const py = (y: number) => (bottom - ((y - y0) / (y1 - y0)) * (bottom - top)).toFixed(1);
  const out = [
    text(left, 22, title, INK, 'font-weight="600"'),
    text(left + width, HEIGHT - 12, x, MUTED, 'text-anchor="end"'),
    `<path d="M${px(x0)} ${py(0)}H${px(x1)}" stroke="${MUTED}" stroke-width="1"/>`,
  ];
  if (y) out.push(text(left, 42, y, MUTED));
  for (const tick of ticks?.x ?? []) out.push(text(px(tick), bottom + 16, label(tick), MUTED, 'text-anchor="middle"'));
  for (const tick of ticks?.y ?? []) {
    out.push(`<path d="M${from} ${py(tick)}H${left + width}" stroke="#e5e9ee"/>`);
    out.push(text(from - 6, Number(py(tick)) + 4, label(tick), MUTED, 'text-anchor="end"'));
  }
  for (const { points, color, style = "line" } of curves) {
    const path = points.map(([x, y]) => `${px(x)} ${py(y)}`).join("L");
    if (style === "dots") {
      for (const [x, y] of points) out.push(`<circle cx="${px(x)}" cy="${py(y)}" r="3.2" fill="${color}"/>`);
    } else if (style === "area")
      out.push(`<path d="M${px(x0)} ${py(0)}L${path}L${px(x1)} ${py(0)}Z" fill="${color}" opacity="0.45"/>`);
    else {
      const dashes = style === "dashed" ? ' stroke-dasharray="5 4"' : "";
      out.push(`<path d="M${path}" fill="none" stroke="${color}" stroke-width="2.2"${dashes}/>`);
    }
  }
  const named = curves.filter(({ label }) => label);
  const [at, anchor] = legend ? [left + width, "end"] : [from + 8, "start"];
  for (const [i, { label, color }] of named.entries())
    out.push(text(at, top + 14 + i * 16, label!, color, `font-weight="600" text-anchor="${anchor}"`));
  return out.join("\n");
}

function text(x: number | string, y: number, words: string, color: string, more = ""): string {
  return `<text x="${x}" y="${y}" fill="${color}" ${more}>${words.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</text>`;
}

function label(tick: number): string {
  return tick === 0 ? "0" : String(tick);
}

const row = (numbers: readonly number[]): Tensor => tensor(numbers, [1, numbers.length]);
const normalized = (weights: readonly number[]) => {
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
};
const logs = (p: readonly number[]) => row(p.map(Math.log));
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** One bump that must stand for two: where each divergence puts it. */
function directions(): string {
  const V = 120;
  const bump = (i: number, mean: number, width: number) => Math.exp(-((i - mean) ** 2) / (2 * width ** 2));
  const reference = normalized(range(V).map((i) => 0.62 * bump(i, 38, 6) + 0.38 * bump(i, 84, 6) + 1e-5));
  const q = logs(reference);
  const fitted = (divergence: (p: Tensor) => WithGradient<"mean">, title: string, habit: string): Panel => {
    let best = { value: Number.POSITIVE_INFINITY, p: reference };
    for (const start of [38, 60, 84]) {
      let [mean, logWidth] = [start, Math.log(14)];
      for (let step = 0; step < 3000; step++) {
        const width2 = Math.exp(2 * logWidth);
        const { gradient } = divergence(row(range(V).map((i) => -((i - mean) ** 2) / (2 * width2))));
        let [byMean, byWidth] = [0, 0];
        for (const [i, g] of gradient.data.entries()) {
          byMean += (g * (i - mean)) / width2;
          byWidth += (g * (i - mean) ** 2) / width2;
        }
        mean -= 8 * byMean;
        logWidth -= 0.03 * byWidth;
      }
      const z = row(range(V).map((i) => -((i - mean) ** 2) / (2 * Math.exp(2 * logWidth))));
      const { value } = divergence(z);
      if (value < best.value) best = { value, p: [...logSoftmax(z).data].map(Math.exp) };
    }
    const points = (p: readonly number[]) => p.map((y, x): Point => [x, y]);
    return {
      title,
      x: "outcomes",
      ceiling: 0.07,
      y: `${habit}: ${best.value.toFixed(2)} nats at best`,
      curves: [
        { points: points(reference), color: REFERENCE, style: "area" },
        { points: points(best.p), color: MODEL },
      ],
    };
  };
  const input = { input: "logits" } as const;
  const z = tensor(q.data, q.shape);
  return figure("A single bump fitted to a reference with two, by each divergence", [
    fitted((p) => klDivergence.withGradient(p, z, input), "KL(model‖reference)", "picks a mode"),
    fitted(
      (p) => klDivergence.withGradient(p, z, { ...input, direction: "reverse" }),
      "KL(reference‖model)",
      "covers all",
    ),
    fitted((p) => jensenShannon.withGradient(p, z, input), "Jensen–Shannon", "never above ln 2"),
  ]);
}

/** What each support sees of a model that moves within the rest, and of one that moves into it. */
function topK(): string {
  const [V, k] = [1000, 20];
  const reference = normalized(range(V).map((i) => (i + 1) ** -1.1));
  const q = logs(reference);
  const known = selectTopK(q, k);
  const steps = range(21).map((i) => i / 20);
  const direction = "reverse";
  const random = createRandom(4);
  const see = (title: string, model: (t: number) => number[]): Panel => {
    const curve = (value: (p: Tensor) => number) => steps.map((t): Point => [t, value(logs(normalized(model(t))))]);
    return {
      title,
      x: "how far the model has moved",
      ceiling: 0.8,
      y: "KL(reference‖model), nats",
      ticks: { x: [0, 0.5, 1], y: [0, 0.25, 0.5, 0.75] },
      curves: [
        { points: curve((p) => klDivergence(p, q, { direction })), color: INK, label: "whole vocabulary" },
        {
          points: curve((p) => klDivergence(p, known, { direction, renormalize: true })),
          color: WRONG,
          label: `top ${k}, renormalized`,
        },
        {
          points: curve((p) => klDivergence(p, known, { direction })),
          color: MODEL,
          style: "dashed",
          label: `top ${k} and the rest`,
        },
        {
          points: steps
            .filter((_, i) => i % 2 === 0)
            .map((t): Point => {
              const p = normalized(model(t)).map(Math.log);
              const rows = 64;
              const repeated = (one: readonly number[]) =>
                tensor(
                  range(rows).flatMap(() => one),
                  [rows, V],
                );
              return [t, sparseKL(repeated(p), drawSparseSample(repeated([...q.data]), k, random))];
            }),
          color: OTHER,
          style: "dots",
          label: `${k} draws, mean of 64 rows`,
        },
      ],
    };
  };
  const mirrored = (i: number) => (i < k ? i : V - 1 - (i - k));
  return figure("What a top-k reference sees of two movements", [
    see("The rest is rearranged", (t) =>
      reference.map((p, i) => (1 - t) * p + t * 0.98 * reference[mirrored(i)]! + t * 0.02 * p),
    ),
    see("The top loses to the rest", (t) => reference.map((p, i) => (i < k ? p * (1 - 0.93 * t) : p))),
  ]);
}

/** Averages over the wrong tokens, and where a penalty made of them lets training end. */
function samples(): string {
  const reference = normalized([30, 22, 16, 12, 8, 6, 4, 2]);
  const dataset = normalized([1, 1, 1, 1, 1, 1, 4, 90]);
  const [q, data] = [logs(reference), logs(dataset)];
  const onTokens = (logprobs: Tensor, weights: readonly number[], estimator: "k1" | "k3") =>
    sampledKL(drawnFromModel(tensor(logprobs.data, [8])), tensor(q.data, [8]), { estimator, weights });
  const steps = range(27).map((i) => i / 20 - 0.2);
  const along = (value: (p: Tensor) => number, every = 1) =>
    steps
      .filter((_, i) => i % every === 0)
      .map((t): Point => [t, value(logSoftmax(row(range(8).map((i) => (1 - t) * q.data[i]! + t * data.data[i]!))))]);

  /** Drift that is left when −log p of the dataset plus λ times a penalty is at its minimum. */
  const left = (pull: (p: Tensor) => ArrayLike<number>) =>
    range(25).map((i): Point => {
      const exponent = i / 8 - 2;
      const weight = 10 ** exponent;
      const z = Float64Array.from(q.data);
      for (let step = 0; step < 2500; step++) {
        const p = logSoftmax(row([...z]));
        const learn = klDivergence.withGradient(p, data, { direction: "reverse" }).gradient.data;
        const hold = pull(p);
        for (let v = 0; v < 8; v++) z[v]! -= (1.5 / (1 + weight)) * (learn[v]! + weight * hold[v]!);
      }
      return [exponent, klDivergence(logSoftmax(row([...z])), q)];
    });
  const onDataset = (p: Tensor) => {
    // What automatic differentiation makes of k3: 1 − r at each token, through the model's softmax.
    const { gradient } = sampledKL.withGradient(drawnFromModel(tensor(p.data, [8])), tensor(q.data, [8]), {
      direction: "reverse",
      weights: dataset,
    });
    const sum = gradient.data.reduce((a, b) => a + b, 0);
    return gradient.data.map((g, v) => g - Math.exp(p.data[v]!) * sum);
  };
  return figure("Estimates from a dataset's tokens against those from the model's own", [
    {
      title: "Averages while a model moves",
      x: "0: the reference, 1: the dataset",
      ceiling: 6,
      y: "nats per token",
      ticks: { x: [0, 0.5, 1], y: [0, 1, 2, 3, 4] },
      curves: [
        { points: along((p) => klDivergence(p, q)), color: INK, label: "KL(model‖reference)" },
        {
          points: along((p) => onTokens(p, [...p.data].map(Math.exp), "k3"), 3),
          color: OTHER,
          style: "dots",
          label: "k3, tokens from the model",
        },
        { points: along((p) => onTokens(p, dataset, "k3")), color: MODEL, label: "k3, tokens from the dataset" },
        {
          points: along((p) => onTokens(p, dataset, "k1")),
          color: WRONG,
          style: "dashed",
          label: "k1, tokens from the dataset",
        },
      ],
    },
    {
      title: "Drift left after training",
      legend: "right",
      ceiling: 4.2,
      x: "log₁₀ of the penalty's weight",
      y: "KL(model‖reference), nats",
      ticks: { x: [-2, -1, 0, 1], y: [0, 1, 2, 3] },
      curves: [
        {
          points: left((p) => klDivergence.withGradient(p, q).gradient.data),
          color: INK,
          label: "KL(model‖reference)",
        },
        {
          points: left((p) => klDivergence.withGradient(p, q, { direction: "reverse" }).gradient.data),
          color: OTHER,
          label: "KL(reference‖model)",
        },
        { points: left(onDataset), color: MODEL, label: "k3, tokens from the dataset" },
      ],
    },
  ]);
}

/** Every picture, by its file's name. */
export function pictures(): Record<string, string> {
  return { "directions.svg": directions(), "top-k.svg": topK(), "samples.svg": samples() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = new URL("../docs/images/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  for (const [name, svg] of Object.entries(pictures())) writeFileSync(new URL(name, folder), svg);
}
