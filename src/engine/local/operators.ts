/** @file The operators of a decoder, each with its reverse-mode rule. Comments give the mathematics; dy is the gradient of the output. */
import type { Dim, Graph, Tape, Value } from "./graph.ts";

const last = (value: Value): Dim => value.shape[value.shape.length - 1]!;

/** y = x·Wᵀ, with x [n, in] and W [out, in] as Hugging Face stores it. dx = dy·W, dW = dyᵀ·x. */
export function linear(tape: Tape, x: Value, w: Value): Value {
  const y = tape.emit("Gemm", [x, w], [x.shape[0]!, w.shape[0]!], { transB: 1 });
  return tape.record([x, w], y, (back, dy) => {
    if (back.wants(x)) back.addProduct(x, dy, back.use(w));
    if (back.wants(w)) back.addProduct(w, dy, back.use(x), { transA: 1 });
  });
}

/**
 * y = x·Wᵀ + s·(x·Aᵀ)·Bᵀ, LoRA (Hu et al. 2021, arXiv 2106.09685), with A [r, in], B [out, r], W frozen.
 * With u = x·Aᵀ and v = dy·B: dA = s·vᵀ·x, dB = s·dyᵀ·u, dx = dy·W + s·v·A.
 */
export function loraLinear(tape: Tape, x: Value, w: Value, a: Value, b: Value, scale: number): Value {
  const [rows, rank] = [x.shape[0]!, a.shape[0]!];
  const alpha = { float: scale };
  const u = tape.emit("Gemm", [x, a], [rows, rank], { transB: 1 });
  const base = tape.emit("Gemm", [x, w], [rows, w.shape[0]!], { transB: 1 });
  const y = tape.emit("Gemm", [u, b, base], base.shape, { transB: 1, alpha });
  return tape.record([x, a, b], y, (back, dy) => {
    const v = back.graph.emit("Gemm", [dy, back.use(b)], u.shape);
    back.addProduct(b, dy, back.use(u), { transA: 1, alpha });
    back.addProduct(a, v, back.use(x), { transA: 1, alpha });
    if (!back.wants(x)) return;
    back.addProduct(x, dy, back.use(w));
    back.addProduct(x, v, back.use(a), { alpha });
  });
}

/** y[i] = table[ids[i]]: embeddings, or the rows of x that a loss asks for. dtable: dy added up where ids point. */
export function gatherRows(tape: Tape, table: Value, ids: Value): Value {
  const y = tape.emit("Gather", [table, ids], [ids.shape[0]!, last(table)]);
  return tape.record([table], y, (back, dy) => {
    const zeros = back.graph.emit("ConstantOfShape", [back.graph.shape(table.shape)], table.shape);
    const indices = reshapeIn(back.graph, back.use(ids), [ids.shape[0]!, 1]);
    back.add(table, back.graph.emit("ScatterND", [zeros, indices, dy], table.shape, { reduction: "add" }));
  });
}

/**
 * y = g ∘ x̂, x̂ = x·ρ, ρ = 1/√(mean x² + ε), row by row (Zhang & Sennrich 2019, arXiv 1910.07467).
 * With t = g ∘ dy: dx = ρ·(t − x̂·mean(t ∘ x̂)), dg = Σ_rows dy ∘ x̂.
 */
export function rmsNorm(tape: Tape, x: Value, g: Value, epsilon: number): Value {
  const column = [x.shape[0]!, 1];
  const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 };
  const [y, rho] = tape.emitTwo("SimplifiedLayerNormalization", [x, g], [x.shape, column], attributes);
  return tape.record([x, g], y, (back, dy) => {
    const graph = back.graph;
    const unit = graph.emit("Mul", [back.use(x), back.use(rho)], x.shape);
    if (back.wants(g)) {
      back.add(
        g,
        graph.emit("ReduceSum", [graph.emit("Mul", [dy, unit], x.shape), graph.integers(0)], g.shape, { keepdims: 0 }),
      );
    }
    if (!back.wants(x)) return;
    const t = graph.emit("Mul", [dy, back.use(g)], x.shape);
    const mean = graph.emit("ReduceMean", [graph.emit("Mul", [t, unit], x.shape), graph.integers(-1)], column);
    const centred = graph.emit("Sub", [t, graph.emit("Mul", [unit, mean], x.shape)], x.shape);
    back.add(x, graph.emit("Mul", [centred, back.use(rho)], x.shape));
  });
}

/** y = silu(gate) ∘ up, silu(z) = z·σ(z) (Shazeer 2020, arXiv 2002.05202). silu′ = σ·(1 + z·(1 − σ)) = σ + silu·(1 − σ). */
export function swiglu(tape: Tape, gate: Value, up: Value): Value {
  const silu = tape.emit("QuickGelu", [gate], gate.shape, { alpha: { float: 1 } });
  const y = tape.emit("Mul", [silu, up], gate.shape);
  return tape.record([gate, up], y, (back, dy) => {
    const graph = back.graph;
    const mul = (a: Value, b: Value) => graph.emit("Mul", [a, b], gate.shape);
    const s = back.use(silu);
    if (back.wants(up)) back.add(up, mul(dy, s));
    if (!back.wants(gate)) return;
    const sigma = graph.emit("Sigmoid", [back.use(gate)], gate.shape);
    const slope = graph.emit("Sub", [graph.emit("Add", [sigma, s], gate.shape), mul(s, sigma)], gate.shape);
    back.add(gate, mul(mul(dy, back.use(up)), slope));
  });
}

/** y = a + b, of one shape. */
export function add(tape: Tape, a: Value, b: Value): Value {
  return tape.record([a, b], tape.emit("Add", [a, b], a.shape), (back, dy) => {
    if (back.wants(a)) back.add(a, dy);
    if (back.wants(b)) back.add(b, dy);
  });
}

/** The same numbers under another shape. */
export function reshape(tape: Tape, x: Value, shape: readonly Dim[]): Value {
  return tape.record([x], reshapeIn(tape, x, shape), (back, dy) => back.add(x, reshapeIn(back.graph, dy, x.shape)));
}

function reshapeIn(graph: Graph, x: Value, shape: readonly Dim[]): Value {
  return graph.emit("Reshape", [x, graph.shape(shape)], shape);
}

/** y = x with its axes permuted; dx is dy permuted back. */
export function transpose(tape: Tape, x: Value, perm: readonly number[]): Value {
  const permuted = (value: Value, order: readonly number[]) => order.map((axis) => value.shape[axis]!);
  const y = tape.emit("Transpose", [x], permuted(x, perm), { perm });
  const inverse = perm.map((_, axis) => perm.indexOf(axis));
  return tape.record([x], y, (back, dy) => back.add(x, back.graph.emit("Transpose", [dy], x.shape, { perm: inverse })));
}

/** Rotary position embedding of x [batch, heads, time, d] (Su et al. 2021, arXiv 2104.09864), half-split as in Hugging Face: a rotation, so the gradient turns back by −sin. */
export function rotary(tape: Tape, x: Value, positions: Value, cos: Value, sin: Value): Value {
  const y = tape.emit("RotaryEmbedding", [x, positions, cos, sin], x.shape);
  return tape.record([x], y, (back, dy) => {
    const backwards = back.graph.emit("Neg", [back.use(sin)], sin.shape);
    back.add(x, back.graph.emit("RotaryEmbedding", [dy, back.use(positions), back.use(cos), backwards], x.shape));
  });
}

/**
 * o = P·v, P = softmax(c·q·kᵀ + mask) over the last axis, for q [b, h, n, d], k and v [b, h, s, d].
 * With dP = do·vᵀ and dS = P ∘ (dP − Σ_s P ∘ dP): dv = Pᵀ·do, dq = c·dS·k, dk = c·dSᵀ·q.
 */
export function attention(tape: Tape, q: Value, k: Value, v: Value, mask: Value, scale: number): Value {
  const square = [...q.shape.slice(0, -1), k.shape[k.shape.length - 2]!];
  const alpha = { float: scale };
  const scores = tape.emit("FusedMatMul", [q, k], square, { transB: 1, alpha });
  const p = tape.emit("Softmax", [tape.emit("Add", [scores, mask], square)], square, { axis: -1 });
  const o = tape.emit("MatMul", [p, v], q.shape);
  return tape.record([q, k, v], o, (back, dO) => {
    const graph = back.graph;
    const probabilities = back.use(p);
    if (back.wants(v)) back.add(v, graph.emit("FusedMatMul", [probabilities, dO], v.shape, { transA: 1 }));
    const dP = graph.emit("FusedMatMul", [dO, back.use(v)], square, { transB: 1 });
    const weighted = graph.emit("Mul", [probabilities, dP], square);
    const sum = graph.emit("ReduceSum", [weighted, graph.integers(-1)], [...square.slice(0, -1), 1]);
    const dS = graph.emit("Sub", [weighted, graph.emit("Mul", [probabilities, sum], square)], square);
    if (back.wants(q)) back.add(q, graph.emit("FusedMatMul", [dS, back.use(k)], q.shape, { alpha }));
    if (back.wants(k)) back.add(k, graph.emit("FusedMatMul", [dS, back.use(q)], k.shape, { transA: 1, alpha }));
  });
}
