import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, type ContextManager, context, ROOT_CONTEXT, SpanStatusCode, trace } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { expect, onTestFinished, test } from "vitest";
import { everyToken } from "../../src/data/datum.ts";
import { instrument } from "../../src/opentelemetry/index.ts";
import { baseReference } from "../../src/reference/base.ts";
import { KLDivergence, type Regularizer } from "../../src/regularizer/index.ts";
import { stepMetrics } from "../../src/train/metrics.ts";
import { train } from "../../src/train/train.ts";
import { ADAMW } from "../train/adamw.ts";
import { TableModel } from "../train/table-model.ts";

/** Contexts that follow asynchronous work, as an application's SDK has them. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    context: Context,
    work: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(context, () => work.call(self, ...args));
  }

  bind<T>(_: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

/** The real SDK, and what it would export. */
function sdk() {
  const spans = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const stop = instrument({ tracerProvider, meterProvider });
  onTestFinished(async () => {
    stop();
    await Promise.all([tracerProvider.shutdown(), meterProvider.shutdown()]);
  });
  const measured = async () => {
    await meterProvider.forceFlush();
    const metrics =
      exporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? [];
    return new Map(metrics.map((metric) => [metric.descriptor.name, metric]));
  };
  return { spans, measured, stop, tracer: tracerProvider.getTracer("test") };
}

function run(regularizers: readonly Regularizer[] = [], steps = 3) {
  const engine = new TableModel({ vocabulary: 7 });
  const reference = baseReference(engine.sampler("base"));
  const all = ["one", "other"].map((name) => new KLDivergence({ name, reference }));
  return train({
    client: engine,
    data: [everyToken([0, 2, 4, 6])],
    steps,
    batchSize: 1,
    seed: 1,
    shuffle: false,
    optimizer: ADAMW,
    regularizers: [...all, ...regularizers].map((regularizer, i) => ({ regularizer, weight: 0.1 * (i + 1) })),
    reportEvery: 1,
  });
}

const seconds = ([whole, nanos]: ReadableSpan["startTime"]) => whole + nanos / 1e9;

test("steps are spans, their regularizers spans below them, with what was measured", async () => {
  const { spans } = sdk();
  const { rows } = await run();
  const finished = spans.getFinishedSpans();
  const steps = finished.filter(({ name }) => name === "klamp.step");
  expect(steps.map(({ attributes }) => attributes["klamp.step"])).toEqual([1, 2, 3]);
  for (const [i, step] of steps.entries()) {
    expect(step.attributes).toMatchObject({ "klamp.steps": 3, "klamp.loss": rows[i]!.loss });
    const below = finished.filter(({ parentSpanContext }) => parentSpanContext?.spanId === step.spanContext().spanId);
    expect(below.map(({ name }) => name)).toEqual(["klamp.regularizer", "klamp.regularizer"]);
    expect(below.map(({ attributes }) => attributes["klamp.regularizer"])).toEqual(["one", "other"]);
    expect(below[0]!.attributes).toMatchObject({
      "klamp.step": i + 1,
      "klamp.weight": 0.1,
      "klamp.kl_divergence": rows[i]!.regularizers.one!.metrics.kl_divergence,
    });
    for (const span of below) {
      expect(seconds(span.startTime)).toBeGreaterThanOrEqual(seconds(step.startTime));
      expect(seconds(span.endTime)).toBeLessThanOrEqual(seconds(step.endTime) + 1e-6);
    }
  }
  expect(Math.abs(seconds(steps[2]!.endTime) * 1000 - Date.now())).toBeLessThan(5000);
});

test("steps are below the span that is active", async () => {
  context.setGlobalContextManager(new AsyncContexts());
  onTestFinished(() => context.disable());
  const { spans, tracer } = sdk();
  const parent = tracer.startSpan("my run");
  await context.with(trace.setSpan(context.active(), parent), () => run([], 1));
  parent.end();
  const step = spans.getFinishedSpans().find(({ name }) => name === "klamp.step");
  expect(step?.parentSpanContext?.spanId).toBe(parent.spanContext().spanId);
});

test("metrics: steps are counted, their duration is a histogram, the rest are gauges of the latest step", async () => {
  const { measured } = sdk();
  const { rows } = await run();
  const metrics = await measured();
  const last = stepMetrics(rows.at(-1)!);
  const points = (name: string) => metrics.get(name)?.dataPoints.map(({ attributes, value }) => [attributes, value]);
  expect(points("klamp.steps")).toEqual([[{}, 3]]);
  expect(metrics.get("klamp.step.duration")?.dataPoints[0]?.value).toMatchObject({ count: 3 });
  for (const name of ["loss", "cross_entropy", "grad_norm", "learning_rate", "tokens_per_second"])
    expect(points(`klamp.${name}`)).toEqual([[{}, last[name]]]);
  for (const name of [
    "value",
    "weight",
    "contribution",
    "kl_divergence",
    "kl_p95",
    "task_cosine",
    "kl_top1_agreement",
  ]) {
    expect(points(`klamp.regularizer.${name}`)).toEqual(
      ["one", "other"].map((each) => [{ "klamp.regularizer": each }, last[`${each}/${name}`]]),
    );
  }
  expect(metrics.get("klamp.step.duration")?.descriptor.unit).toBe("s");
  expect(metrics.get("klamp.regularizer.kl_max")?.descriptor.unit).toBe("{nat}/{token}");
  expect(metrics.get("klamp.regularizer.kl_top1_agreement")?.descriptor).toMatchObject({
    unit: "",
    description: "The share of the weight where model and reference have the same most probable token.",
  });
  expect(metrics.get("klamp.loss")?.descriptor.unit).toBe("{nat}/{token}");
  expect(metrics.get("klamp.tokens_per_second")?.descriptor.unit).toBe("{token}/s");
  expect(metrics.get("klamp.regularizer.weight")?.descriptor.unit).toBe("");
});

test("a regularizer that fails is a span with its error", async () => {
  const { spans } = sdk();
  const failing: Regularizer = {
    name: "failing",
    begin: async () => {
      throw new Error("the server does not answer");
    },
  };
  await expect(run([failing])).rejects.toThrow("the server does not answer");
  const [span, ...others] = spans.getFinishedSpans();
  expect(others).toEqual([]);
  expect(span).toMatchObject({
    name: "klamp.regularizer",
    attributes: { "klamp.step": 1, "klamp.regularizer": "failing" },
    status: { code: SpanStatusCode.ERROR, message: "the server does not answer" },
    events: [{ name: "exception" }],
  });
});

test("once ended, nothing is told any more", async () => {
  const { spans, measured, stop } = sdk();
  stop();
  await run();
  expect(spans.getFinishedSpans()).toEqual([]);
  expect((await measured()).size).toBe(0);
});
