import type { z } from "zod";

/** What a metric is called, measured in, and means: for the report, the terminal and telemetry. */
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
  /** What settings measure, in the words of a table: `KL(reference‖model)`. */
  formula(settings: Settings): string;
  /** The metric that stands for the kind in charts and in a line of progress, and its short name there. */
  readonly headline: { readonly metric: string; readonly short: string };
  /** Everything that it measures, by the name in `metrics.jsonl`. */
  readonly metrics: Readonly<Record<string, MetricInfo>>;
}
