import type { RenderOptions } from "./renderer.ts";

/** A stretch of the rendered text that is learned. */
export interface Answer {
  readonly start: number;
  readonly end: number;
  readonly weight: number;
}

/** Renders the first `count` messages; undefined where the template refuses them. */
export type RenderPrefix = (count: number, options?: RenderOptions) => string | undefined;
