import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/common/random.ts";
import { tensor } from "../../src/divergence/index.ts";
import type { AdapterMatrices } from "../../src/model/contract.ts";
import {
  type AdapterPenalty,
  type Coefficient,
  composeAdapter,
  elasticNet,
  l1,
  l2,
  linearWeight,
  orthogonality,
} from "../../src/regularizer/index.ts";

type Matrix = readonly (readonly number[])[];

const A = "model.layers.0.self_attn.q_proj.lora_A.weight";
const B = "model.layers.0.self_attn.q_proj.lora_B.weight";

const asTensor = (rows: Matrix) => tensor(rows.flat(), [rows.length, rows[0]!.length]);
const adapter = (a: Matrix, b: Matrix): AdapterMatrices =>
  new Map([
    [A, asTensor(a)],
    [B, asTensor(b)],
  ]);

/** A [2, 3] and B [4, 2] of rank 2. */
const SOME_A = [
  [0.5, -1, 0.25],
  [1.5, 0.75, -0.5],
];
const SOME_B = [
  [1, 0.5],
  [-0.5, 2],
  [0.25, -1],
  [0.125, 0],
];

/** The definitions, over plain lists. */
const entries = (rows: Matrix) => rows.flat();
const norm1 = (rows: Matrix) => entries(rows).reduce((sum, w) => sum + Math.abs(w), 0);
const norm2 = (rows: Matrix) => entries(rows).reduce((sum, w) => sum + w * w, 0) / 2;
const transposed = (rows: Matrix) => rows[0]!.map((_, j) => rows.map((row) => row[j]!));
/** ‖M·Mᵀ − T‖² of the directions in the rows of M. */
const excess = (rows: Matrix, identity: boolean) =>
  rows
    .flatMap((x, r) =>
      rows.map((y, s) => {
        const product = x.reduce((sum, x, i) => sum + x * y[i]!, 0);
        if (r === s) return identity ? product - 1 : 0;
        return product;
      }),
    )
    .reduce((sum, e) => sum + e * e, 0);
const apart = (a: Matrix, b: Matrix, identity = false) => (excess(a, identity) + excess(transposed(b), identity)) / 2;

const CASES: [string, AdapterPenalty, (a: Matrix, b: Matrix) => number][] = [
  ["l1", l1(), (a, b) => norm1(a) + norm1(b)],
  ["l1 of B", l1({ factors: "B" }), (_, b) => norm1(b)],
  ["l2", l2(), (a, b) => norm2(a) + norm2(b)],
  ["l2 of A", l2({ factors: "A" }), (a) => norm2(a)],
  ["elastic_net", elasticNet(), (a, b) => 0.5 * (norm1(a) + norm1(b) + norm2(a) + norm2(b))],
  [
    "elastic_net, ratio 0.2",
    elasticNet({ l1Ratio: 0.2 }),
    (a, b) => 0.2 * (norm1(a) + norm1(b)) + 0.8 * (norm2(a) + norm2(b)),
  ],
  ["orthogonality", orthogonality(), apart],
  ["orthogonality of B", orthogonality({ factors: "B" }), (_, b) => excess(transposed(b), false)],
  ["orthogonality to the identity", orthogonality({ target: "identity" }), (a, b) => apart(a, b, true)],
];

/** d f / d entry of both matrices, by central differences of fourth order. */
function slopes(f: (a: Matrix, b: Matrix) => number, a: Matrix, b: Matrix): { a: number[]; b: number[] } {
  const h = 1e-3;
  const of = (at: (rows: Matrix) => number, rows: Matrix) =>
    rows.flatMap((row, i) =>
      row.map((_, j) => {
        const moved = (step: number) => at(rows.map((r, k) => r.map((w, l) => (k === i && l === j ? w + step : w))));
        return (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
      }),
    );
  return { a: of((rows) => f(rows, b), a), b: of((rows) => f(a, rows), b) };
}

/** Entries that float32 holds exactly, away from the kink of |w| at 0. */
const entry = fc.integer({ min: 1, max: 64 }).chain((n) => fc.constantFrom(n / 32, -n / 32));
const matrix = (rows: number, columns: number) =>
  fc.array(fc.array(entry, { minLength: columns, maxLength: columns }), { minLength: rows, maxLength: rows });
const pair = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }))
  .chain(([rank, inputs, outputs]) => fc.tuple(matrix(rank, inputs), matrix(outputs, rank)));

describe.each(CASES)("%s", (_, penalty, definition) => {
  test("is its definition, and its gradient the slope of it", () => {
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const { value, gradient, metrics } = penalty.compute(adapter(a, b));
        const expected = definition(a, b);
        expect(value).toBeCloseTo(expected, 5);
        expect(metrics[penalty.name]).toBe(value);
        const slope = slopes(definition, a, b);
        for (const [name, list, rows] of [
          [A, slope.a, a],
          [B, slope.b, b],
        ] as const) {
          const found = gradient.get(name);
          expect(found?.shape ?? [rows.length, rows[0]!.length]).toEqual([rows.length, rows[0]!.length]);
          for (const [i, x] of list.entries())
            expect(Math.abs((found?.data[i] ?? 0) - x)).toBeLessThan(1e-5 * Math.max(1, Math.abs(x)));
        }
      }),
      { numRuns: 40 },
    );
  });

  test("does not change the matrices", () => {
    const matrices = adapter(SOME_A, SOME_B);
    penalty.compute(matrices);
    expect(matrices).toEqual(adapter(SOME_A, SOME_B));
  });
});

/** Gradient descent from some matrices. */
function descend(penalty: AdapterPenalty, steps: number, rate: number): AdapterMatrices {
  const matrices = adapter(SOME_A, SOME_B);
  for (let step = 0; step < steps; step++)
    for (const [name, { data }] of penalty.compute(matrices).gradient)
      for (const [i, slope] of data.entries()) matrices.get(name)!.data[i]! -= rate * slope;
  return matrices;
}

describe("at its minimum", () => {
  const zero = adapter(
    [
      [0, 0, 0],
      [0, 0, 0],
    ],
    [
      [0, 0],
      [0, 0],
    ],
  );
  const turned = adapter(
    [
      [0, 3, 0],
      [4, 0, 0],
    ],
    [
      [0, -2],
      [0.5, 0],
    ],
  );
  const rotation = adapter(
    [
      [0.6, 0.8, 0],
      [0.8, -0.6, 0],
    ],
    [
      [0, 1],
      [1, 0],
    ],
  );

  test.each([
    ["norms, all 0", [l1(), l2(), elasticNet()], zero],
    ["orthogonality, a fresh adapter's B", [orthogonality({ factors: "B" })], zero],
    ["orthogonality, directions of any length at right angles", [orthogonality()], turned],
    ["orthogonality, directions of length 1 at right angles", [orthogonality({ target: "identity" })], rotation],
  ] as const)("%s: value and gradient are 0", (_, penalties, matrices) => {
    for (const penalty of penalties) {
      const { value, gradient } = penalty.compute(matrices);
      expect(value).toBeCloseTo(0, 12);
      for (const { data } of gradient.values()) for (const slope of data) expect(slope).toBeCloseTo(0, 6);
    }
  });

  test("descent shrinks norms, and turns directions apart without shrinking them away", () => {
    expect(l2().compute(descend(l2(), 100, 0.1)).value).toBeLessThan(1e-6);
    const entriesLeft = [...descend(l1(), 100, 1 / 16).values()].flatMap(({ data }) => [...data]);
    for (const w of entriesLeft) expect(Math.abs(w)).toBeLessThan(0.1);
    const turned = descend(orthogonality(), 300, 0.02);
    expect(orthogonality().compute(turned).value).toBeLessThan(1e-6);
    expect(l2().compute(turned).value).toBeGreaterThan(0.5 * l2().compute(adapter(SOME_A, SOME_B)).value);
    const unit = descend(orthogonality({ target: "identity" }), 500, 0.02);
    expect(norm2([[...unit.get(A)!.data]])).toBeCloseTo(1, 3);
  });
});

test("l2 over both factors bounds the nuclear norm of the update", () => {
  fc.assert(
    fc.property(pair, ([a, b]) => {
      const update = b.map((row) => a[0]!.map((_, j) => row.reduce((sum, w, r) => sum + w * a[r]![j]!, 0)));
      // ‖B·A‖_F ≤ ‖B·A‖_* ≤ ½·(‖A‖² + ‖B‖²)
      expect(Math.sqrt(2 * norm2(update))).toBeLessThanOrEqual(l2().compute(adapter(a, b)).value + 1e-9);
    }),
  );
});

test("the worst matrix is reported", () => {
  const { metrics } = orthogonality().compute(adapter(SOME_A, SOME_B));
  expect(metrics.orthogonality_max).toBeCloseTo(Math.max(excess(SOME_A, false), excess(transposed(SOME_B), false)), 6);
});

test("invalid settings are refused", () => {
  expect(() => elasticNet({ l1Ratio: 1.5 })).toThrow(
    "the L1 ratio of an elastic net is 1.5, expected a number from 0 to 1",
  );
  expect(() => l1({ factors: "C" as "A" })).toThrow('factors is "C", expected A, B or both');
  expect(() => orthogonality({ factors: "C" as "A" })).toThrow('factors is "C", expected A, B or both');
  expect(() => orthogonality({ target: "unit" as "identity" })).toThrow(
    'the target of orthogonality is "unit", expected diagonal or identity',
  );
});

describe("composeAdapter", () => {
  const matrices = adapter(SOME_A, SOME_B);
  const members = [
    { penalty: l1(), weight: 0.5 },
    { penalty: l2({ name: "small", factors: "B" }), weight: 3 },
  ];

  test("is the weighted sum of its members, gradient included", () => {
    const { value, gradient, members: measured } = composeAdapter(members).compute(matrices);
    const [one, other] = [l1().compute(matrices), l2({ factors: "B" }).compute(matrices)];
    expect(value).toBeCloseTo(0.5 * one.value + 3 * other.value, 6);
    for (const [name, { data }] of gradient)
      for (const [i, slope] of data.entries())
        expect(slope).toBeCloseTo(
          0.5 * one.gradient.get(name)!.data[i]! + 3 * (other.gradient.get(name)?.data[i] ?? 0),
          6,
        );
    expect(measured).toMatchObject({
      l1: { value: one.value, weight: 0.5, contribution: 0.5 * one.value, metrics: { l1: one.value } },
      small: { value: other.value, weight: 3, metrics: { l2: other.value } },
    });
    // Every slope of an L1 norm is 1 or −1, but for the one entry that is 0.
    expect(measured.l1!.matrix_grad_norm).toBeCloseTo(Math.sqrt(13), 6);
    expect(measured.small!.matrix_grad_norm).toBeCloseTo(Math.sqrt(2 * norm2(SOME_B)), 6);
  });

  test("composes in turn, and of none is nothing", () => {
    const inner = composeAdapter(members, { name: "inner" });
    const outer = composeAdapter([{ penalty: inner, weight: 2 }]);
    expect(outer.compute(matrices).value).toBeCloseTo(2 * inner.compute(matrices).value, 6);
    expect(outer.compute(matrices).members.inner!.value).toBe(inner.compute(matrices).value);
    expect(outer.compute(matrices).metrics["inner/small/l2"]).toBe(inner.compute(matrices).metrics["small/l2"]);
    expect(inner.compute(matrices).metrics["small/l2"]).toBe(l2({ factors: "B" }).compute(matrices).value);
    const none = { value: 0, gradient: new Map(), metrics: {}, members: {} };
    expect(composeAdapter([]).compute(matrices)).toEqual(none);
  });

  test("weights may move, go on from what was measured, and say their state", () => {
    const measured: number[] = [];
    const counting: Coefficient<number> = {
      init: () => 1,
      at: (state) => state,
      update: (state, { value }) => {
        measured.push(value);
        return state + 1;
      },
    };
    const build = () =>
      composeAdapter([
        { penalty: l2(), weight: linearWeight({ from: 0, to: 1, steps: 11 }) },
        { penalty: l1(), weight: counting },
      ]);
    const moving = build();
    const in_ = (number: number) => moving.compute(matrices, { number, full: false }).members;
    expect(in_(1).l2!.weight).toBeLessThan(in_(6).l2!.weight);
    expect(in_(20).l2!.weight).toBe(1);
    expect(measured).toEqual(new Array(3).fill(l1().compute(matrices).value));
    const other = build();
    const { values } = moving.state.read();
    other.state.write({ values: JSON.parse(JSON.stringify(values)), tensors: new Map() });
    expect(other.compute(matrices).members.l1!.weight).toBe(4);
    expect(() => other.state.write({ values: { l2: { weight: null, own: null } }, tensors: new Map() })).toThrow(
      'the saved state has nothing of the regularizer "l1"',
    );
  });

  test("the state of a composition holds that of compositions and penalties within, tensors too", () => {
    const build = () => {
      let last = tensor([0], [1]);
      const own: AdapterPenalty = {
        name: "own",
        state: {
          read: () => ({ values: null, tensors: new Map([["last", last]]) }),
          write: ({ tensors }) => {
            last = tensors.get("last")!;
          },
        },
        compute: () => {
          const [value] = last.data;
          last = tensor([value! + 1], [1]);
          return { value: value!, gradient: new Map(), metrics: {} };
        },
      };
      const doubling: Coefficient<number> = { init: () => 1, at: (state) => state, update: (state) => 2 * state };
      const inner = composeAdapter([{ penalty: own, weight: doubling }], { name: "inner" });
      return composeAdapter([{ penalty: inner, weight: 1 }]);
    };
    const one = build();
    for (const expected of [0, 2 * 1, 4 * 2]) expect(one.compute(matrices).value).toBe(expected);
    const other = build();
    const { values, tensors } = one.state.read();
    other.state.write({ values: JSON.parse(JSON.stringify(values)), tensors });
    expect(other.compute(matrices).value).toBe(8 * 3);
  });

  test("weight 0 measures without training", () => {
    const { value, gradient, members } = composeAdapter([{ penalty: l2(), weight: 0 }]).compute(matrices);
    expect(value).toBe(0);
    expect(members.l2!.value).toBeGreaterThan(1);
    for (const { data } of gradient.values()) for (const g of data) expect(Math.abs(g)).toBe(0);
  });

  test("what does not fit is refused", () => {
    expect(() => composeAdapter([members[0]!, members[0]!])).toThrow('two regularizers are named "l1"');
    expect(() => composeAdapter([{ penalty: l1(), weight: -1 }])).toThrow(
      'the weight of the regularizer "l1" is -1, expected a finite number of at least 0',
    );
    const random = createRandom(1);
    const strange = (name: string, size: number): AdapterPenalty => ({
      name: "own",
      compute: () => ({
        value: 1,
        gradient: new Map([[name, tensor(Array.from({ length: size }, random), [size])]]),
        metrics: {},
      }),
    });
    expect(() => composeAdapter([{ penalty: strange(A, 5), weight: 1 }]).compute(matrices)).toThrow(
      `regularizer "own": its gradient holds 5 numbers for ${A}, expected 6`,
    );
    expect(() => composeAdapter([{ penalty: strange("C", 5), weight: 1 }]).compute(matrices)).toThrow(
      'regularizer "own": its gradient holds 5 numbers for C, a matrix that the adapter does not have',
    );
  });
});
