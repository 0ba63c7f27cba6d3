import { crossEntropyKernel } from "./cross-entropy-kernel.ts";
import { entropyKernel } from "./entropy-kernel.ts";
import { jensenShannonKernel } from "./jensen-shannon-kernel.ts";
import { klKernel } from "./kl-kernel.ts";
import type { Recipe, RowKernel } from "./row-kernel.ts";

/** Kernels by number, since numbers are what threads tell each other. */
export const KINDS: readonly Recipe["kind"][] = ["kl", "jensenShannon", "entropy", "crossEntropy"];

/** A kernel of this thread, which remembers its own rows. */
export function kernelOf({ kind, parameter, targets }: Recipe): RowKernel {
  if (kind === "kl") return klKernel(parameter === 1);
  if (kind === "jensenShannon") return jensenShannonKernel(parameter);
  return kind === "entropy" ? entropyKernel : crossEntropyKernel(targets!);
}
