import { describe, expect, test } from "vitest";
import { UserError } from "../../src/common/errors.ts";
import { type Datum, everyToken, rowCount } from "../../src/data/datum.ts";
import { klDivergence } from "../../src/divergence/kl-divergence.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import type { SavedState } from "../../src/loss/state.ts";
import type { Snapshot, Snapshots } from "../../src/model/contract.ts";
import { syncedReference } from "../../src/reference/synced.ts";
import { newStep, rowsOf, wholeSpans } from "./asking.ts";

const SIZE = 5;
const DATA = [everyToken([0, 2, 4, 1, 3], "a"), everyToken([3, 1, 2], "b")];

/** A language model of 25 parameters, the logits of the next token by the last one, trained by gradient descent. */
class Table implements Snapshots {
  logits: Float32Array = Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i));
  copies = 0;

  distributions(data: readonly Datum[], logits: Float32Array = this.logits): Tensor[] {
    return data.map((datum) => {
      const rows = [...datum.modelInput].map((last) => {
        const row = logits.subarray(last * SIZE, (last + 1) * SIZE);
        const logSum = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
        return [...row].map((x) => x - logSum);
      });
      return { data: Float32Array.from(rows.flat()), shape: [rowCount(datum), SIZE] };
    });
  }

  take(): Snapshot {
    this.copies++;
    return this.restore(new Map([["table", { data: this.logits.slice(), shape: [SIZE, SIZE] }]]));
  }

  restore(tensors: ReadonlyMap<string, Tensor>): Snapshot {
    const { data } = tensors.get("table")!;
    return {
      tensors,
      sample: async () => [],
      computeLogprobs: async () => [],
      distributions: async (asked) => this.distributions(asked, data),
    };
  }

  /** One step on cross-entropy + weight · KL(model‖reference); the KL before it. */
  train(reference: readonly Tensor[], weight: number): number {
    const gradient = new Float32Array(SIZE * SIZE);
    let total = 0;
    for (const [i, p] of this.distributions(DATA).entries()) {
      const kl = klDivergence.withGradient(p, reference[i]!, { reduction: "sum" });
      total += kl.value as number;
      DATA[i]!.modelInput.forEach((last, row) => {
        for (let v = 0; v < SIZE; v++) {
          const target = v === DATA[i]!.lossInputs.target_tokens.data[row] ? 1 : 0;
          const at = row * SIZE + v;
          gradient[last * SIZE + v]! += Math.exp(p.data[at]!) - target + weight * kl.gradient.data[at]!;
        }
      });
    }
    this.logits = this.logits.map((x, k) => x - 0.05 * gradient[k]!);
    return total;
  }
}

/** Trains from one step to another; the KL before each. */
async function trained(table: Table, reference: ReturnType<typeof syncedReference>, weight: number, from = 1, to = 10) {
  const kl: number[] = [];
  for (let number = from; number <= to; number++) {
    kl.push(table.train(await rowsOf(reference, DATA, newStep({ number })), weight));
  }
  return kl;
}

describe("a synced reference", () => {
  test("is a copy of the model, taken again every so many steps: the divergence begins at 0 each time and grows", async () => {
    const table = new Table();
    const kl = await trained(table, syncedReference(table, { every: 4 }), 0.1);
    expect(table.copies).toBe(3);
    for (const step of [0, 4, 8]) expect(kl[step]).toBeCloseTo(0, 6);
    for (const step of [1, 2, 3, 5, 6, 7, 9]) expect(kl[step]).toBeGreaterThan(kl[step - 1]!);
  });

  test("lets the model go further than one that stays", async () => {
    const [moving, still] = [new Table(), new Table()];
    await trained(moving, syncedReference(moving, { every: 2 }), 5);
    await trained(still, syncedReference(still, { every: 100 }), 5);
    const surprise = (table: Table) => {
      const [first] = table.distributions(DATA);
      const targets = DATA[0]!.lossInputs.target_tokens.data;
      return -targets.reduce((sum, token, row) => sum + first!.data[row * SIZE + token]!, 0);
    };
    expect(surprise(moving)).toBeLessThan(surprise(still));
  });

  test("is one copy for all who share it in a step", async () => {
    const table = new Table();
    const reference = syncedReference(table, { every: 1 });
    const step = newStep();
    const spans = wholeSpans(DATA);
    const [one, other] = await Promise.all([reference.begin(DATA, step), reference.begin(DATA, step)]);
    expect(await other.rows(spans)).toBe(await one.rows(spans));
    expect(table.copies).toBe(1);
  });
});

describe("its state", () => {
  /** As a file holds it. */
  const throughFile = ({ values, tensors }: SavedState): SavedState => ({
    values: JSON.parse(JSON.stringify(values)),
    tensors: new Map([...tensors].map(([name, { data, shape }]) => [name, { data: data.slice(), shape: [...shape] }])),
  });

  test.each([0, 1, 3, 4, 5, 8])("after %d steps: a run that goes on from it is bit-identical", async (stopped) => {
    const whole = new Table();
    const expected = await trained(whole, syncedReference(whole, { every: 4 }), 2);
    const first = new Table();
    const before = syncedReference(first, { every: 4 });
    const kl = await trained(first, before, 2, 1, stopped);
    const saved = throughFile(before.state!.read());

    const second = new Table();
    second.logits = first.logits.slice();
    const after = syncedReference(second, { every: 4 });
    after.state!.write(saved);
    kl.push(...(await trained(second, after, 2, stopped + 1)));
    expect(kl).toEqual(expected);
    expect(second.logits).toEqual(whole.logits);
    expect(first.copies + second.copies).toBe(3);
  });

  test("is that of its moment, in memory of its own", async () => {
    const table = new Table();
    const reference = syncedReference(table, { every: 1 });
    expect(reference.state!.read()).toEqual({ values: { period: null }, tensors: new Map() });
    await trained(table, reference, 1, 1, 2);
    const saved = reference.state!.read();
    expect(saved.values).toEqual({ period: 1 });
    const copy = saved.tensors.get("table")!.data.slice();
    saved.tensors.get("table")!.data.fill(0);
    expect(reference.state!.read().tensors.get("table")!.data).toEqual(copy);
    await trained(table, reference, 1, 3, 3);
    expect(reference.state!.read().values).toEqual({ period: 2 });
  });

  test("without a copy is restored as well", async () => {
    const table = new Table();
    const reference = syncedReference(table, { every: 10 });
    const fresh = reference.state!.read();
    await trained(table, reference, 1, 1, 2);
    reference.state!.write(throughFile(fresh));
    const [kl] = await trained(table, reference, 1, 3, 3);
    expect(kl).toBeCloseTo(0, 6);
    expect(table.copies).toBe(2);
  });

  test.each([null, 3, {}, { period: "1" }, { period: 0.5 }])("%j is refused", (values) => {
    const { state } = syncedReference(new Table(), { every: 1 });
    expect(() => state!.write({ values, tensors: new Map() })).toThrow(UserError);
    expect(() => state!.write({ values, tensors: new Map() })).toThrow('expected { "period": a whole number or null }');
  });
});

test.each([0, 1.5, Number.NaN])("every %d steps is refused", (every) => {
  expect(() => syncedReference(new Table(), { every })).toThrow(
    `a synced reference is copied every ${every} steps, expected a whole number of at least 1`,
  );
});

test("an engine without snapshots is refused", () => {
  expect(() => syncedReference(undefined, { every: 1 })).toThrow(
    "a synced reference needs copies of the model, which this engine cannot make: use an embedded engine",
  );
});
