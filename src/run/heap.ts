import { setFlagsFromString } from "node:v8";

/**
 * Lets this process's heap grow to five times what is alive before it is collected in full.
 *
 * ONNX Runtime hands out its results as array buffers, megabytes in each step, which V8 takes for garbage of the heap's: it
 * would collect in full every second step, on threads that the products then lack. For a process of klamp's own; a library
 * does not decide this.
 */
export function collectRarely(): void {
  setFlagsFromString("--heap-growing-percent=400");
}
