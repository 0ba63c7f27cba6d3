import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type Datum, rowCount } from "../../src/data/datum.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { type Tensor, tensor } from "../../src/divergence/tensor.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import type { LocalSamplingClient } from "../../src/engine/local/sampling-client.ts";
import type { Span } from "../../src/loss/contract.ts";
import { drawBaseSamples } from "../../src/model/base-samples.ts";
import type { SamplingClient } from "../../src/model/contract.ts";
import { baseReference, liveReference, type ReferenceModel } from "../../src/reference/base.ts";
import { datumOf } from "../regularizer/datums.ts";
import { newStep, positionByPosition, rowsOf, wholeSpans } from "./asking.ts";

const FOLDER = fileURLToPath(new URL("../../models/small-world/", import.meta.url));
let model: LocalModel;
let sampler: LocalSamplingClient;
let data: readonly Datum[];
beforeAll(async () => {
  model = await LocalModel.open(FOLDER, { threads: 1 });
  const how = { samples: 6, max_tokens: 10, temperature: 1, seed: 2 };
  sampler = await model.sampler();
  data = await drawBaseSamples(sampler, loadTokenizer(FOLDER), how);
});
afterAll(() => model.close());

/** The base: what its decoder read, call by call, and how many tensors its head was given, call by call. */
function watched() {
  const passes: (readonly Datum[])[] = [];
  const heads: number[] = [];
  const watched: ReferenceModel = {
    distributions: (data) => {
      passes.push(data);
      return sampler.distributions(data);
    },
    hidden: (data) => {
      passes.push(data);
      return sampler.hidden(data);
    },
    fromHidden: (hidden) => {
      heads.push(hidden.length);
      return sampler.fromHidden(hidden);
    },
  };
  return { passes, heads, watched };
}

function expectClose(found: readonly Tensor[], expected: readonly Tensor[]) {
  expect(found.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
  for (const [i, { data }] of found.entries()) {
    const off = data.reduce((most, x, j) => Math.max(most, Math.abs(x - expected[i]!.data[j]!)), 0);
    expect(off).toBeLessThan(1e-4);
  }
}

/** The parts of a batch as an engine brings them that holds four positions at a time: texts cut, the last first. */
function partsOf(batch: readonly Datum[]): Span[][] {
  const spans = wholeSpans(batch).flatMap(({ index, to }) =>
    Array.from({ length: Math.ceil(to / 4) }, (_, i) => ({ index, from: 4 * i, to: Math.min(4 * i + 4, to) })),
  );
  return spans.reverse().map((span) => [span]);
}

describe("the base", () => {
  test("gives the distributions that the model gives: whole, in parts in any order, position by position", async () => {
    const { watched: base } = watched();
    const expected = await sampler.distributions(data);
    const open = await baseReference(base).begin(data, newStep());
    expectClose(await open.rows(wholeSpans(data)), expected);
    for (const part of partsOf(data)) {
      const [{ index, from, to }] = part as [Span];
      const rows = tensor(expected[index]!.data.slice(from * 1024, to * 1024), [to - from, 1024]);
      expectClose(await open.rows(part), [rows]);
    }
    const single = await positionByPosition(open, data, (rows) => rows.data);
    expectClose(
      single.map((numbers, i) => tensor(numbers, expected[i]!.shape)),
      expected,
    );
  });

  test("begins by reading the whole batch in one pass; parts of it cost no other", async () => {
    const { watched: base, passes } = watched();
    const open = await baseReference(base).begin(data, newStep());
    expect(passes).toEqual([data]);
    for (const part of partsOf(data)) await open.rows(part);
    expect(passes).toHaveLength(1);
  });

  test("in many steps reads each text once, however many share it and whatever batches come", async () => {
    const { watched: base, passes, heads } = watched();
    const reference = baseReference(base);
    let parts = 0;
    for (let number = 1; number <= 6; number++) {
      const batch = [0, 1, 2, 3].map((i) => data[(number * 2 + i) % 6]!);
      const step = newStep({ number });
      const opened = [await reference.begin(batch, step), await reference.begin(batch, step)];
      for (const part of partsOf(batch)) {
        const [one, other] = [await opened[0]!.rows(part), await opened[1]!.rows(part)];
        expect(other).toBe(one);
        parts++;
      }
    }
    expect(passes.flat().sort()).toHaveLength(data.length);
    expect(new Set(passes.flat()).size).toBe(data.length);
    // Regularizers that share the base go through the head once a part.
    expect(heads).toHaveLength(parts);
  });

  test("a text that stands twice in a batch is read once", async () => {
    const { watched: base, passes } = watched();
    const [first, other, second] = await rowsOf(baseReference(base), [data[0]!, data[1]!, data[0]!]);
    expect(passes).toEqual([[data[0], data[1]]]);
    expect(second!.data).toEqual(first!.data);
    expect(other!.data).not.toEqual(first!.data);
  });

  test("a pass under way goes on when the step is aborted, and the next step does not begin", async () => {
    const controller = new AbortController();
    const events: string[] = [];
    const reference = baseReference({
      distributions: async (data) => {
        controller.abort("enough");
        await new Promise((resolve) => setTimeout(resolve, 20));
        events.push("read");
        return data.map(() => tensor([0], [1, 1]));
      },
    });
    const step = newStep({ signal: controller.signal });
    const [datum] = data as [Datum];
    await reference.begin([datum], step).catch(() => undefined);
    expect(events).toEqual(["read"]);
    await expect(reference.begin([data[1]!], step)).rejects.toBe("enough");
    expect(events).toEqual(["read"]);
  });

  test("without hidden states is asked for distributions, once for each datum, and again after a failure", async () => {
    const rows = tensor([0.5, 0.5].map(Math.log), [1, 2]);
    const [one, other] = [datumOf([1]), datumOf([1])];
    const asked: (readonly Datum[])[] = [];
    const reference = baseReference({
      distributions: async (data) => {
        asked.push(data);
        if (asked.length === 2) throw new Error("out of memory");
        return data.map(() => rows);
      },
    });
    expect(reference.description).toBe("base");
    await rowsOf(reference, [one]);
    expect(await rowsOf(reference, [one, one])).toEqual([rows, rows]);
    await expect(rowsOf(reference, [one, other])).rejects.toThrow("the reference base failed: out of memory");
    expect(await rowsOf(reference, [one, other])).toEqual([rows, rows]);
    expect(asked).toEqual([[one], [other], [other]]);
  });
});

describe("a live model", () => {
  test("is read again in each step, once for all who share the step", async () => {
    const { watched: base, passes } = watched();
    const reference = liveReference(base);
    for (let number = 1; number <= 2; number++) {
      const step = newStep({ number });
      for (let i = 0; i < 2; i++) {
        expectClose(await rowsOf(reference, data, step), await sampler.distributions(data));
      }
    }
    expect(passes).toEqual([data, data]);
    expect(reference.description).toBe("the model itself");
  });

  test("gives what the model is by then", async () => {
    const client = await model.trainingClient({ rank: 2, seed: 1 });
    const reference = liveReference(client.sampler("current"));
    const [before] = await rowsOf(reference, data.slice(0, 1));
    for (const { data } of client.parameters.values())
      for (let i = 0; i < data.length; i++) data[i] = 0.1 * Math.sin(i);
    const [after] = await rowsOf(reference, data.slice(0, 1));
    const [expected] = await client.sampler("current").distributions(data.slice(0, 1));
    expectClose([after!], [expected!]);
    expect(Math.abs(after!.data[0]! - before!.data[0]!)).toBeGreaterThan(1e-3);
    await client.close();
  });
});

test.each([
  ["base", baseReference],
  ["the model itself", liveReference],
])("%s: a client without distributions is refused when the reference is made, with the alternatives", (name, make) => {
  const remote: SamplingClient = {
    sample: async () => [],
    computeLogprobs: async () => [],
    promptTopK: async () => [],
  };
  expect(() => make(remote)).toThrow(UserError);
  expect(() => make(remote)).toThrow(
    `the reference (${name}) needs a model with distributions over the whole vocabulary, which this one does not have: use an embedded engine, or promptReference`,
  );
});

test("rows are one for each position that the datum asks for", async () => {
  const [found] = await rowsOf(baseReference(sampler), data.slice(0, 1));
  expect(found!.shape).toEqual([rowCount(data[0]!), model.config.vocabSize]);
});
