import { totalmem } from "node:os";

/** The bytes of memory that this process may use at most: the machine's, or a container's. */
export function memoryLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
