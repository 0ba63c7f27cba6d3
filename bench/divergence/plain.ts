import { fill, serve, sumOfFirstRow } from "./contender.ts";

/** @file Plain loops over Float32Arrays, as one writes them first. */
const [rows, vocabulary] = process.argv.slice(2).map(Number) as [number, number];
const size = rows * vocabulary;
const [p, q, g] = [new Float32Array(size), new Float32Array(size), new Float32Array(size)];
fill(p, q);
const logQ = new Float32Array(size);
const logP = new Float32Array(size);
logSoftmax(p, logP);
logSoftmax(q, logQ);

function logSumExp(x: Float32Array, from: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < vocabulary; i++) if (x[from + i]! > max) max = x[from + i]!;
  let sum = 0;
  for (let i = 0; i < vocabulary; i++) sum += Math.exp(x[from + i]! - max);
  return max + Math.log(sum);
}

function logSoftmax(x: Float32Array, to: Float32Array): void {
  for (let from = 0; from < size; from += vocabulary) {
    const logSum = logSumExp(x, from);
    for (let i = 0; i < vocabulary; i++) to[from + i] = x[from + i]! - logSum;
  }
}

type LogSum = (x: Float32Array, from: number) => number;

/** KL(p‖q) and its gradient, from numbers whose log-sum-exp per row are found by these. */
function divergence(x: Float32Array, y: Float32Array, ofX: LogSum, ofY: LogSum, withGradient: boolean) {
  let total = 0;
  for (let r = 0; r < rows; r++) {
    const from = r * vocabulary;
    const [sumX, sumY] = [ofX(x, from), ofY(y, from)];
    let kl = 0;
    for (let i = 0; i < vocabulary; i++) {
      const logp = x[from + i]! - sumX;
      kl += Math.exp(logp) * (logp - y[from + i]! + sumY);
    }
    total += kl;
    if (!withGradient) continue;
    for (let i = 0; i < vocabulary; i++) {
      const logp = x[from + i]! - sumX;
      g[from + i] = (Math.exp(logp) * (logp - y[from + i]! + sumY - kl)) / rows;
    }
  }
  return () => [total / rows, ...(withGradient ? [sumOfFirstRow(g, vocabulary)] : [])];
}

const zero = () => 0;
serve([
  {
    name: "plain loops",
    version: `V8 ${process.versions.v8}`,
    tasks: {
      logits: () => divergence(p, q, logSumExp, logSumExp, true),
      against: () => divergence(p, logQ, logSumExp, zero, true),
      logprobs: () => divergence(logP, logQ, zero, zero, true),
      value: () => divergence(p, q, logSumExp, logSumExp, false),
    },
  },
]);
