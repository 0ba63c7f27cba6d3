import { crossEntropyKernel } from "./cross-entropy-kernel.ts";
import { entropyKernel } from "./entropy-kernel.ts";
import { jensenShannonKernel } from "./jensen-shannon-kernel.ts";
import { klKernel } from "./kl-kernel.ts";
import type { KernelKind, RowKernel } from "./row-kernel.ts";

/** Kernels by index: a job in shared memory holds numbers only. */
export const KERNEL_NAMES: readonly KernelKind["name"][] = ["kl", "jensenShannon", "entropy", "crossEntropy"];

/** Creates the kernel in this thread: a kernel keeps the state of its current row. */
export function createKernel({ name, parameter, targets }: KernelKind): RowKernel {
  if (name === "kl") return klKernel(parameter === 1);
  if (name === "jensenShannon") return jensenShannonKernel(parameter);
  return name === "entropy" ? entropyKernel : crossEntropyKernel(targets!);
}
