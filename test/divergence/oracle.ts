import { type Tensor, tensor } from "../../src/divergence/index.ts";

/** @file The definitions as a textbook writes them, in float64 over plain lists: what the library is held against. */

export type Distribution = readonly number[];

export function softmax(z: readonly number[]): number[] {
  const max = Math.max(...z);
  const sum = z.reduce((sum, x) => sum + Math.exp(x - max), 0);
  return z.map((x) => Math.exp(x - max) / sum);
}

function sum(p: Distribution, term: (p: number, i: number) => number): number {
  return p.reduce((total, x, i) => total + term(x, i), 0);
}

export function kl(p: Distribution, q: Distribution): number {
  return sum(p, (p, i) => (p === 0 ? 0 : p * Math.log(p / q[i]!)));
}

export function jensenShannon(p: Distribution, q: Distribution, beta = 0.5): number {
  const m = p.map((p, i) => beta * p + (1 - beta) * q[i]!);
  return beta * kl(p, m) + (1 - beta) * kl(q, m);
}

export function jeffreys(p: Distribution, q: Distribution): number {
  return (kl(p, q) + kl(q, p)) / 2;
}

export function totalVariation(p: Distribution, q: Distribution): number {
  return sum(p, (p, i) => Math.abs(p - q[i]!)) / 2;
}

export function renyi(p: Distribution, q: Distribution, alpha: number): number {
  return Math.log(sum(p, (p, i) => p ** alpha * q[i]! ** (1 - alpha))) / (alpha - 1);
}

export function entropy(p: Distribution): number {
  return -sum(p, (p) => (p === 0 ? 0 : p * Math.log(p)));
}

export function smooth(q: Distribution, epsilon: number): number[] {
  return q.map((x) => (1 - epsilon) * x + epsilon / q.length);
}

/** d f / d z by central differences of fourth order, in float64. */
export function numericalGradient(f: (z: readonly number[]) => number, z: readonly number[]): number[] {
  const h = 1e-3;
  return z.map((_, i) => {
    const at = (step: number) => f(z.map((x, j) => (i === j ? x + step : x)));
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
  });
}

/** Rows of probabilities as a tensor of log-probabilities [rows, V]. */
export function logprobs(rows: readonly Distribution[]): Tensor {
  return tensor(
    rows.flatMap((row) => row.map(Math.log)),
    [rows.length, rows[0]!.length],
  );
}

/** Rows of numbers as a tensor. */
export function matrix(rows: readonly (readonly number[])[]): Tensor {
  return tensor(rows.flat(), [rows.length, rows[0]?.length ?? 1]);
}
