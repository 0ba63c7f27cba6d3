import { expect, test } from "vitest";
import { compute, type Regularizer } from "../../src/regularizer/index.ts";
import { DATA, MODEL } from "./rows.ts";

const end = () => ({ value: 0, metrics: {} });

test("types refuse what is no regularizer; names of metrics are free", async () => {
  // @ts-expect-error No value.
  const silent: Regularizer = { name: "silent", begin: () => ({ add: () => {}, end: () => ({ metrics: {} }) }) };
  // @ts-expect-error Parts are not taken.
  const deaf: Regularizer = { name: "deaf", begin: () => ({ end }) };
  // @ts-expect-error A step has no beginning.
  const old: Regularizer = { name: "old", compute: async () => ({ loss: 0, gradient: [], metrics: {} }) };
  // @ts-expect-error No name.
  const nameless: Regularizer = { begin: () => ({ add: () => {}, end }) };
  expect([silent, deaf, old, nameless]).toHaveLength(4);

  const metrics = { soft_max: 1, weight: 2, cross_entropy: 3, temperature: 4 };
  const free: Regularizer = { name: "free", begin: () => ({ add: () => {}, end: () => ({ value: 0, metrics }) }) };
  expect((await compute(free, DATA, MODEL)).metrics).toEqual(metrics);
});
