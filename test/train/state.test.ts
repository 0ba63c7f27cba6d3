import { describe, expect, test } from "vitest";
import { type Datum, everyToken } from "../../src/data/datum.ts";
import type { Json } from "../../src/loss/state.ts";
import { baseReference } from "../../src/reference/base.ts";
import { syncedReference } from "../../src/reference/synced.ts";
import {
  adaptiveWeight,
  budgetWeight,
  Consistency,
  compose,
  cosineWeight,
  Entropy,
  excludeTokens,
  JensenShannon,
  KLDivergence,
  l1,
  l2,
  linearWeight,
  tokenReplacement,
} from "../../src/regularizer/index.ts";
import type { TrainState } from "../../src/train/state.ts";
import { type TrainOptions, train } from "../../src/train/train.ts";
import { TableModel } from "./table-model.ts";

/** @file A training that stops after any step and goes on elsewhere is the training that never stopped, to the bit. */

const VOCABULARY = 7;
const STEPS = 20;

const texts = (count: number, shift: number, source: string): Datum[] =>
  Array.from({ length: count }, (_, d) =>
    everyToken(
      Array.from({ length: 4 + ((d + shift) % 3) }, (_, i) => (d + shift + (2 + (d % 2)) * i) % VOCABULARY),
      `${source}:${d + 1}`,
    ),
  );
const DATA = texts(5, 0, "train.jsonl");
const OTHER = texts(4, 3, "other.jsonl");

type Parts = Pick<TrainOptions, "regularizers" | "adapterPenalties">;

function kl(client: TableModel, name: string) {
  return new KLDivergence({ name, direction: "forward", reference: baseReference(client.sampler("base")) });
}

/** Everything of a run that changes from step to step. */
const build = {
  "KL to the base": (client) => ({
    regularizers: [new KLDivergence({ reference: baseReference(client.sampler("base")) })],
  }),
  "Jensen–Shannon": (client) => ({
    regularizers: [new JensenShannon({ reference: baseReference(client.sampler("base")) })],
  }),
  consistency: (client) => ({
    regularizers: [new Consistency({ model: client.sampler("current"), view: tokenReplacement({ rate: 0.4 }) })],
  }),
  entropy: () => ({ regularizers: [new Entropy()] }),
  "an adaptive weight": (client) => ({
    regularizers: [{ regularizer: kl(client, "adaptive"), weight: adaptiveWeight({ target: 0.02, horizon: 2 }) }],
  }),
  "a budget": (client) => ({
    regularizers: [{ regularizer: kl(client, "budget"), weight: budgetWeight({ budget: 0.02 }) }],
  }),
  "a schedule": (client) => ({
    regularizers: [{ regularizer: kl(client, "scheduled"), weight: linearWeight({ from: 1, to: 0, steps: 15 }) }],
  }),
  "a synced reference": (client) => ({
    regularizers: [
      new KLDivergence({ name: "synced", reference: syncedReference(client.snapshots, { every: 7 }) }),
      // Of which the state is behind a wrapper.
      excludeTokens(
        new JensenShannon({ name: "synced without 3", reference: syncedReference(client.snapshots, { every: 5 }) }),
        [3],
      ),
    ],
  }),
  "a refreshed anchor": (client) => ({
    regularizers: [
      {
        regularizer: kl(client, "anchored"),
        weight: 0.3,
        anchors: [
          {
            data: OTHER,
            batchSize: 3,
            seed: 4,
            refresh: { every: 6, draw: async (step: number) => texts(4, step, `drawn.jsonl:${step}`) },
          },
        ],
        completions: true,
      },
    ],
  }),
  "a composition": (client) => ({
    regularizers: [
      {
        regularizer: compose([
          { regularizer: kl(client, "inner"), weight: budgetWeight({ budget: 0.01, update: "multiplicative" }) },
          {
            regularizer: new KLDivergence({
              name: "inner synced",
              reference: syncedReference(client.snapshots, { every: 4 }),
            }),
          },
        ]),
        weight: cosineWeight({ from: 0, to: 0.5, steps: 12 }),
      },
    ],
  }),
  "penalties on the adapter": () => ({
    adapterPenalties: [
      { penalty: l2(), weight: adaptiveWeight({ target: 0.5, initial: 0.05, horizon: 3 }) },
      { penalty: l1(), weight: linearWeight({ from: 0.01, to: 0, steps: 10 }) },
    ],
  }),
} satisfies Record<string, (client: TableModel) => Parts>;

type Kind = keyof typeof build;
const KINDS = Object.keys(build) as Kind[];

/** A training of a new model with new regularizers, to its end or until it has taken some steps. */
async function run(kinds: readonly Kind[], { state, until = STEPS }: { state?: TrainState; until?: number } = {}) {
  const client = new TableModel({ vocabulary: VOCABULARY, rowsAtOnce: 3 });
  const parts = kinds.map((kind): Parts => build[kind](client));
  const controller = new AbortController();
  let time = 0;
  const saved: TrainState[] = [];
  const { rows } = await train({
    client,
    data: DATA,
    steps: STEPS,
    batchSize: 2,
    seed: 3,
    optimizer: { learningRate: 0.1, schedule: "linear", warmupSteps: 4, weightDecay: 0.01, gradClip: 0.5 },
    regularizers: parts.flatMap(({ regularizers = [] }) => regularizers),
    adapterPenalties: parts.flatMap(({ adapterPenalties = [] }) => adapterPenalties),
    reportEvery: 3,
    signal: controller.signal,
    now: () => (time += 100),
    state,
    onStep: async ({ step }, details) => {
      saved.push(stored(await details.state()));
      if (step === until) controller.abort();
    },
  });
  return { rows, saved, delta: [...client.delta] };
}

/** What files would hold of a state. */
function stored({ step, values, tensors }: TrainState): TrainState {
  return { step, values: JSON.parse(JSON.stringify(values)) as Json, tensors: structuredClone(tensors) };
}

test.each<[string, readonly Kind[]]>([
  ...KINDS.map((kind): [string, Kind[]] => [kind, [kind]]),
  ["all at once", KINDS],
])("%s: stopped after any of 20 steps, it goes on to the bit", async (_, kinds) => {
  const whole = await run(kinds);
  expect(whole.rows).toHaveLength(STEPS);
  for (let cut = 1; cut <= STEPS; cut++) {
    const before = await run(kinds, { until: cut });
    expect(before.rows).toEqual(whole.rows.slice(0, cut));
    const state = before.saved.at(-1)!;
    expect(state.step).toBe(cut);
    const after = await run(kinds, { state });
    expect(after.rows, `after step ${cut}`).toEqual(whole.rows.slice(cut));
    expect(after.delta, `after step ${cut}`).toEqual(whole.delta);
    // And so are the states on the way: what goes on can be stopped again.
    expect(after.saved).toEqual(whole.saved.slice(cut));
  }
});

describe("a state", () => {
  test("is needed in all of its parts: with any of them as it was after step 1, training ends elsewhere", async () => {
    const { saved, delta } = await run(KINDS);
    const [first, state] = [saved[0]!, saved[10]!];
    const differing = [...state.tensors].filter(([name, { data }]) => {
      const was = first.tensors.get(name)!.data;
      return data.some((x, i) => !Object.is(x, was[i]));
    });
    expect(differing.map(([name]) => name)).toEqual([
      "engine/delta",
      "engine/mean",
      "engine/variance",
      "engine/steps",
      "regularizer/synced/delta",
      "regularizer/synced without 3/delta",
      "regularizer/composition/inner synced/delta",
    ]);
    for (const [name] of differing) {
      const tensors = new Map(state.tensors).set(name, first.tensors.get(name)!);
      expect((await run(KINDS, { state: { ...state, tensors } })).delta, name).not.toEqual(delta);
    }
    const paths = pathsOf(state.values).filter((path) => at(state.values, path) !== at(first.values, path));
    expect(paths.map((path) => path.join(" "))).toEqual([
      "regularizers adaptive weight",
      "regularizers budget weight",
      "regularizers synced own period",
      "regularizers synced without 3 own period",
      "regularizers composition own inner weight",
      "regularizers composition own inner synced own period",
      "penalties l2 weight",
    ]);
    for (const path of paths) {
      const values = replaced(state.values, path, at(first.values, path));
      expect((await run(KINDS, { state: { ...state, values } })).delta, path.join(" ")).not.toEqual(delta);
    }
  });

  test("of a training that has ended leaves nothing to do", async () => {
    const { saved, delta } = await run(["KL to the base"]);
    const after = await run(["KL to the base"], { state: saved.at(-1)! });
    expect(after.rows).toEqual([]);
    expect(after.delta).toEqual(delta);
  });

  test("of other regularizers, or of another kind of weight, is refused", async () => {
    const { saved } = await run(["an adaptive weight"], { until: 2 });
    const state = saved.at(-1)!;
    await expect(run(["a budget"], { state })).rejects.toThrow(
      'the saved state has nothing of the regularizer "budget"',
    );
    await expect(run(["penalties on the adapter"], { state })).rejects.toThrow(
      'the saved state has nothing of the regularizer "l2"',
    );
    const values = replaced(state.values, ["regularizers", "adaptive", "weight"], null);
    await expect(run(["an adaptive weight"], { state: { ...state, values } })).rejects.toThrow(
      'the weight of the regularizer "adaptive" is null in step 3, expected a finite number of at least 0',
    );
  });

  test("that an engine does not tell is refused, when it is asked for and when it is given", async () => {
    const options = () => {
      const client = Object.assign(new TableModel({ vocabulary: VOCABULARY }), { state: undefined });
      return { client, data: DATA, steps: 3 };
    };
    const message = "this engine keeps its state on a server and does not tell it: save a checkpoint there instead";
    const asking = train({ ...options(), onStep: async (_, { state }) => void (await state()) });
    await expect(asking).rejects.toThrow(message);
    const { saved } = await run(["entropy"], { until: 1 });
    await expect(train({ ...options(), state: saved[0] })).rejects.toThrow(message);
    expect((await train(options())).rows).toHaveLength(3);
  });
});

type Path = readonly string[];

const isObject = (json: Json): json is { readonly [key: string]: Json } =>
  typeof json === "object" && json !== null && !Array.isArray(json);

/** The paths of all that is no object. */
function pathsOf(json: Json): Path[] {
  return isObject(json)
    ? Object.entries(json).flatMap(([key, value]) => pathsOf(value).map((path) => [key, ...path]))
    : [[]];
}

function at(json: Json, [key, ...rest]: Path): Json {
  return key === undefined ? json : at((json as { readonly [key: string]: Json })[key]!, rest);
}

function replaced(json: Json, [key, ...rest]: Path, value: Json): Json {
  if (key === undefined) return value;
  const object = json as { readonly [key: string]: Json };
  return { ...object, [key]: replaced(object[key]!, rest, value) };
}
