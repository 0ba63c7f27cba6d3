import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, onTestFinished, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { everyToken } from "../../src/data/datum.ts";
import { baseReference } from "../../src/reference/base.ts";
import type { Regularizer } from "../../src/regularizer/contract.ts";
import { KLDivergence } from "../../src/regularizer/kl-divergence.ts";
import type { RegularizerEvent, StepEvent } from "../../src/train/events.ts";
import { stepMetrics } from "../../src/train/metrics.ts";
import { train } from "../../src/train/train.ts";
import { ADAMW } from "./adamw.ts";
import { TableModel } from "./table-model.ts";

const DATA = [everyToken([0, 2, 4, 6]), everyToken([1, 3, 5])];

function hear<Event>(name: string): Event[] {
  const heard: Event[] = [];
  const listener = (event: unknown) => void heard.push(event as Event);
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
  return heard;
}

function run(more: readonly Regularizer[] = []) {
  const engine = new TableModel({ vocabulary: 7, atOnce: 1 });
  const kl = new KLDivergence({ reference: baseReference(engine.sampler("base")) });
  return train({
    client: engine,
    data: DATA,
    steps: 3,
    batchSize: 2,
    shuffle: false,
    reportEvery: 0,
    optimizer: ADAMW,
    regularizers: [kl, ...more].map((regularizer) => ({ regularizer, weight: 0.1 })),
  });
}

/** Takes its time, and is not in step with anything. */
const slow: Regularizer = {
  name: "slow",
  begin: () => ({
    add: () => new Promise((resolve) => setTimeout(resolve, 20)),
    end: () => ({ value: 0, metrics: {} }),
  }),
};

describe("channels", () => {
  test("klamp:step tells of each step: when, how long, and its line of metrics", async () => {
    const heard = hear<StepEvent>("klamp:step");
    const before = Date.now();
    const { rows } = await run([slow]);
    expect(heard.map(({ step, steps }) => [step, steps])).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
    expect(heard.map(({ metrics }) => metrics)).toEqual(rows.map(stepMetrics));
    for (const { started, seconds } of heard) {
      expect(started).toBeGreaterThanOrEqual(before - 5);
      expect(started + 1000 * seconds).toBeLessThanOrEqual(Date.now() + 5);
      expect(seconds).toBeGreaterThan(0.039);
    }
  });

  test("klamp:regularizer tells of each regularizer, what it measured and how long that took over all parts", async () => {
    const [heard, steps] = [hear<RegularizerEvent>("klamp:regularizer"), hear<StepEvent>("klamp:step")];
    const { rows } = await run([slow]);
    expect(heard.map(({ step, name }) => `${step} ${name}`)).toEqual(
      [1, 2, 3].flatMap((step) => [`${step} kl_divergence`, `${step} slow`]),
    );
    expect(steps.flatMap(({ regularizers }) => regularizers)).toEqual(heard);
    const [kl, other] = heard.slice(2, 4);
    expect(kl!.measured).toEqual(rows[1]!.regularizers.kl_divergence);
    expect(kl!.measured).toMatchObject({ weight: 0.1, metrics: { kl_max: expect.any(Number) } });
    expect(other!.measured).toEqual({ value: 0, weight: 0.1, contribution: 0, metrics: {} });
    // Two parts of 20 ms each.
    expect(other!.seconds).toBeGreaterThan(0.039);
    expect(kl!.seconds).toBeLessThan(other!.seconds!);
  });

  test("one that fails is told of, with its reason; the step is not", async () => {
    const [heard, steps] = [hear<RegularizerEvent>("klamp:regularizer"), hear<StepEvent>("klamp:step")];
    const reason = new UserError("the server does not answer");
    const failing: Regularizer = {
      name: "failing",
      begin: async () => {
        throw reason;
      },
    };
    await expect(run([failing])).rejects.toThrow('regularizer "failing": the server does not answer');
    expect(heard).toMatchObject([{ step: 1, name: "failing", error: reason }]);
    expect(heard[0]).not.toHaveProperty("measured");
    expect(steps).toEqual([]);
  });
});

test("nobody listens: training is the same", async () => {
  const silent = await run([slow]);
  hear("klamp:step");
  const told = await run([slow]);
  const plain = ({ rows }: typeof told) => rows.map(({ tokens_per_second: _, ...row }) => row);
  expect(plain(told)).toEqual(plain(silent));
});
