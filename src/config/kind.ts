import type { z } from "zod";

/** Title, unit and meaning of a metric, for the report, the terminal and telemetry. */
export interface MetricInfo {
  readonly title: string;
  /** In words: `nats per token`. */
  readonly unit: string;
  readonly formula?: string;
  /** One or two sentences in plain language. */
  readonly meaning: string;
}

/** A kind of regularizer: all that the rest of klamp knows of it. */
export interface Kind<Settings, Made, Material, Schema extends z.ZodType = z.ZodType<Settings>> {
  /** Its name in a configuration. */
  readonly type: string;
  /** One entry of `regularizers`. */
  readonly schema: Schema;
  /** The regularizer that settings describe. */
  make(settings: Settings, material: Material): Made;
  /** What settings measure, as a formula: `KL(reference‖model)`. */
  formula(settings: Settings): string;
  /** The metric that represents the kind in charts and progress lines, and its short name there. */
  readonly headline: { readonly metric: string; readonly short: string };
  /** Everything that it measures, by the name in `metrics.jsonl`. */
  readonly metrics: Readonly<Record<string, MetricInfo>>;
}
