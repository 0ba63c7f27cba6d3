import { expect, test } from "vitest";
import type { Datum } from "../../../src/data/datum.ts";
import type { Tensor } from "../../../src/divergence/tensor.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import { fixtureBatches, MODEL } from "./fixture.ts";

const [DATA] = fixtureBatches() as [Datum[]];
const copy = ({ data, shape }: Tensor): Tensor => ({ data: data.slice(), shape });

test.each([4096, 7])("of final hidden states it makes what the model says, %d rows at once", async (rowsAtOnce) => {
  const model = await LocalModel.open(MODEL, { threads: 1, rowsAtOnce });
  const sampler = await model.sampler();
  const expected = await sampler.distributions(DATA);
  const hidden = await sampler.hidden(DATA);
  for (const head of [model.stores.head("mine"), sampler]) {
    const found = await head.fromHidden(hidden);
    expect(found.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
    for (const [i, { data }] of found.entries()) {
      for (const [j, logprob] of data.entries()) expect(Math.abs(logprob - expected[i]!.data[j]!)).toBeLessThan(2e-5);
    }
  }
  await model.close();
});

test("runs of rows say which they are, and add up to all rows", async () => {
  const model = await LocalModel.open(MODEL, { threads: 1, rowsAtOnce: 7 });
  const sampler = await model.sampler();
  const expected = await sampler.distributions(DATA);
  const hidden = await sampler.hidden(DATA);
  const seen = expected.map(({ shape }) => new Array<number>(shape[0]!).fill(0));
  await sampler.eachRun(DATA, ({ index, row, ...run }) => {
    for (let i = 0; i < run.logprobs.shape[0]!; i++) {
      seen[index]![row + i]!++;
      for (const [name, whole] of [
        ["logprobs", expected],
        ["hidden", hidden],
      ] as const) {
        const size = run[name].shape[1]!;
        const at = (tensor: Tensor, row: number) => tensor.data.slice(row * size, (row + 1) * size);
        expect(at(run[name], i)).toEqual(at(whole[index]!, row + i));
      }
    }
  });
  expect(seen.flat().every((times) => times === 1)).toBe(true);
  await model.close();
});

test("a head with a name writes over its last answer, a sampler does not, and neither over the other's", async () => {
  const model = await LocalModel.open(MODEL, { threads: 1 });
  const [named, second, sampler] = [model.stores.head("a"), model.stores.head("b"), await model.sampler()];
  const [one, other] = (await sampler.hidden(DATA.slice(0, 2))).map(copy) as [Tensor, Tensor];
  const [first] = await named.fromHidden([one]);
  const kept = copy(first!);
  const [own] = await sampler.fromHidden([one]);
  await second.fromHidden([other]);
  await sampler.fromHidden([other]);
  expect(first).toEqual(kept);
  expect(own).toEqual(kept);
  await named.fromHidden([other]);
  expect(first).not.toEqual(kept);
  await model.close();
});
