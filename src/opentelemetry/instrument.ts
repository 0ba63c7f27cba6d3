import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  type Attributes,
  context,
  type Gauge,
  type MeterProvider,
  metrics as metricsApi,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { metricInfo, STEP_METRICS } from "../config/metrics.ts";
import type { RegularizerEvent, StepEvent } from "../train/events.ts";

export interface InstrumentOptions {
  /** Default: the one that is registered globally. */
  readonly tracerProvider?: TracerProvider | undefined;
  /** Default: the one that is registered globally. */
  readonly meterProvider?: MeterProvider | undefined;
}

/**
 * Tells OpenTelemetry of every step that is taken in this process from now on.
 *
 * Spans: `klamp.step` below whatever span is active, and below it a `klamp.regularizer` for each regularizer, as long as its
 * answers took; one that failed has the error. Metrics: the counter `klamp.steps`, the histogram `klamp.step.duration` in
 * seconds, and gauges: `klamp.loss` and the other numbers of `metrics.jsonl`, and of each regularizer
 * `klamp.regularizer.value`, `.weight`, `.contribution`, `.kl_divergence` and all else that it measures, by the attribute
 * `klamp.regularizer`. Divergences are in nats per token.
 *
 * @returns what ends it.
 * @example
 * import { instrument } from "klamp/opentelemetry";
 * const stop = instrument(); // after the SDK was started
 */
export function instrument({ tracerProvider, meterProvider }: InstrumentOptions = {}): () => void {
  const tracer = (tracerProvider ?? trace).getTracer("klamp");
  const meter = (meterProvider ?? metricsApi).getMeter("klamp");
  const taken = meter.createCounter("klamp.steps", { description: "steps of training" });
  const duration = meter.createHistogram("klamp.step.duration", { unit: "s", description: "of one step of training" });
  const gauges = new Map<string, Gauge>();
  const record = (name: string, value: number | undefined, attributes?: Attributes) => {
    if (value === undefined || !Number.isFinite(value)) return;
    const gauge = gauges.get(name) ?? meter.createGauge(name, describe(name));
    gauges.set(name, gauge);
    gauge.record(value, attributes);
  };

  const onStep = (message: unknown) => {
    const { step, steps, started, seconds, metrics, regularizers } = message as StepEvent;
    const attributes = { "klamp.step": step, "klamp.steps": steps, "klamp.loss": metrics.loss };
    const span = tracer.startSpan("klamp.step", { startTime: started, attributes });
    const inside = trace.setSpan(context.active(), span);
    for (const event of regularizers) {
      const own = attributesOf(event);
      // What is not timed is part of the step, with no length of its own.
      const from = event.started ?? started;
      tracer
        .startSpan("klamp.regularizer", { startTime: from, attributes: own }, inside)
        .end(from + 1000 * (event.seconds ?? 0));
      for (const [name, value] of numbersOf(event))
        record(`klamp.regularizer.${name}`, value, { "klamp.regularizer": event.name });
    }
    span.end(started + 1000 * seconds);
    taken.add(1);
    duration.record(seconds);
    for (const name of Object.keys(STEP_METRICS)) record(`klamp.${name}`, metrics[name]);
  };

  const onFailure = (message: unknown) => {
    const event = message as RegularizerEvent;
    if (!("error" in event)) return;
    const { started = Date.now(), seconds = 0, error } = event;
    const span = tracer.startSpan("klamp.regularizer", { startTime: started, attributes: attributesOf(event) });
    const reason = error instanceof Error ? error : new Error(String(error));
    const ended = started + 1000 * seconds;
    span.recordException(reason, ended);
    span.setStatus({ code: SpanStatusCode.ERROR, message: reason.message });
    span.end(ended);
  };

  subscribe("klamp:step", onStep);
  subscribe("klamp:regularizer", onFailure);
  return () => {
    unsubscribe("klamp:step", onStep);
    unsubscribe("klamp:regularizer", onFailure);
  };
}

/** What a regularizer measured and counted. A metric with the name of a number that each one has keeps its regularizer's before it. */
function numbersOf({ name, measured }: RegularizerEvent): readonly (readonly [string, number])[] {
  const { metrics = {}, positions, ...own } = measured ?? {};
  const counted = Object.entries(own).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const other = Object.entries(metrics).map(
    ([metric, value]) => [metric in own ? `${name}/${metric}` : metric, value] as const,
  );
  return [...counted, ...other];
}

function attributesOf(event: RegularizerEvent): Attributes {
  const numbers = numbersOf(event).map(([metric, value]) => [`klamp.${metric}`, value] as const);
  return { "klamp.step": event.step, "klamp.regularizer": event.name, ...Object.fromEntries(numbers) };
}

/** Units in words, in the notation of UCUM. */
const UNITS: Readonly<Record<string, string>> = {
  "nats per token": "{nat}/{token}",
  "tokens per second": "{token}/s",
};

/** What is known of the metric that a gauge is of. */
function describe(gauge: string): { readonly unit?: string; readonly description?: string } {
  const info = metricInfo(gauge.slice(gauge.lastIndexOf(".") + 1));
  if (!info) return {};
  const unit = UNITS[info.unit];
  return { description: info.meaning, ...(unit !== undefined && { unit }) };
}
