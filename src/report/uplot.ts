import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** uPlot's minified script, which defines `uPlot`. */
export function uPlotScript(): string {
  return readFileSync(require.resolve("uplot/dist/uPlot.iife.min.js"), "utf8");
}

/** uPlot's minified style sheet. */
export function uPlotStyle(): string {
  return readFileSync(require.resolve("uplot/dist/uPlot.min.css"), "utf8");
}
