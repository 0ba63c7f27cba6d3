import { describe, expect, test } from "vitest";
import { everyToken } from "../../src/data/datum.ts";
import { KLDivergence } from "../../src/index.ts";
import { movingReference } from "../../src/reference/synced.ts";
import { train } from "../../src/train/train.ts";
import { ADAMW } from "../train/adamw.ts";
import { TableModel } from "../train/table-model.ts";

const DATA = [everyToken([0, 2, 4, 1, 3], "a"), everyToken([3, 1, 2], "b")];
async function trained(every: number, weight: number) {
  const engine = new TableModel({ vocabulary: 5 });
  let copies = 0;
  const snapshot = () => {
    copies++;
    const copy = new TableModel({ vocabulary: 5 });
    copy.delta.set(engine.delta);
    return copy.sampler("current");
  };
  const regularizer = new KLDivergence({ reference: movingReference(snapshot, { every }) });
  const { rows } = await train({
    client: engine,
    data: DATA,
    steps: 10,
    batchSize: 2,
    seed: 1,
    shuffle: false,
    optimizer: { ...ADAMW, learning_rate: 0.05 },
    regularizers: [{ regularizer, weight }],
  });
  return { kl: rows.map(({ kl_divergence }) => kl_divergence!), copies, last: rows.at(-1)! };
}

describe("a moving reference", () => {
  test("is a copy of the model, taken anew every so many steps: the divergence begins at 0 each time and grows", async () => {
    const { kl, copies } = await trained(4, 0.1);
    expect(copies).toBe(3);
    for (const step of [0, 4, 8]) expect(kl[step]).toBeCloseTo(0, 6);
    for (const step of [1, 2, 3, 5, 6, 7, 9]) expect(kl[step]).toBeGreaterThan(kl[step - 1]!);
  });

  test("lets the model go further than one that stays", async () => {
    const [moving, still] = [await trained(2, 20), await trained(100, 20)];
    expect(moving.last.cross_entropy).toBeLessThan(still.last.cross_entropy);
  });

  test.each([0, 1.5])("every %d steps means nothing", (every) => {
    expect(() => movingReference(() => new TableModel({ vocabulary: 2 }).sampler("base"), { every })).toThrow(
      `a moving reference is copied every ${every} steps, expected a whole number of at least 1`,
    );
  });
});
