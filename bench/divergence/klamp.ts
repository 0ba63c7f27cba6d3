import { allocate, type DivergenceOptions, klDivergence, logSoftmax, type Tensor } from "../../src/divergence/index.ts";
import { wasmMemory } from "../../src/divergence/kernel/wasm-memory.ts";
import { fill, serve, sumOfFirstRow } from "./contender.ts";

/**
 * @file klamp itself, on the build of its kernels that this Node has, and what the machine gives those at most. With a number
 * of threads behind the shape: one thread against that many, on as many cores, in shared memory.
 */
const [rows, vocabulary, threads = 1] = process.argv.slice(2).map(Number) as [number, number, number?];
const shape = [rows, vocabulary];
const wasm = wasmMemory();
if (!wasm) throw new Error("this Node has no WebAssembly SIMD: there is nothing to measure");

const [p, q, logP, logQ, gradient] = [1, 2, 3, 4, 5].map(() => allocate(shape, { shared: threads > 1 })) as [
  Tensor,
  Tensor,
  Tensor,
  Tensor,
  Tensor,
];
fill(p.data, q.data);
logSoftmax(p, { out: logP });
logSoftmax(q, { out: logQ });
const out = { gradient };

const divergence = (p: Tensor, q: Tensor, options: DivergenceOptions<"mean">) => () => {
  const { value } = klDivergence.withGradient(p, q, { ...options, out });
  return () => [value, sumOfFirstRow(gradient.data, vocabulary)];
};
const plain = (tensor: Tensor): Tensor => ({ data: tensor.data.slice(), shape });
const [plainP, plainQ, plainGradient] = [plain(p), plain(q), plain(gradient)];
const ordinary = (threads: number) => () => {
  const { value } = klDivergence.withGradient(plainP, plainQ, {
    input: "logits",
    threads,
    out: { gradient: plainGradient },
  });
  return () => [value, sumOfFirstRow(plainGradient.data, vocabulary)];
};
/** A reference that is closer to the model than a quarter of a nat: what is computed there so that no digits cancel. */
const closeQ = allocate(shape, { shared: threads > 1 });
for (let i = 0; i < p.data.length; i++) closeQ.data[i] = p.data[i]! + 0.3 * (q.data[i]! - p.data[i]!);
const against = { p: "logits", q: "logprobs" } as const;

const ROW = 4 * vocabulary;
const scratch = wasm.reserve(vocabulary);

const name = `klamp, ${wasm.build === "simd" ? "SIMD128" : "relaxed SIMD"}`;
const version = "this tree";
const shared = {
  name: `${name}, shared memory`,
  version,
  tasks: {
    "one thread": divergence(p, q, { input: "logits" }),
    [`${threads} threads`]: divergence(p, q, { input: "logits", threads }),
    "ordinary arrays, one thread": ordinary(1),
    [`ordinary arrays, ${threads} threads`]: ordinary(threads),
  },
};
const alone = {
  name,
  version,
  tasks: {
    logits: divergence(p, q, { input: "logits" }),
    "logits, ordinary arrays": ordinary(1),
    "logits, close rows": () => {
      klDivergence.withGradient(p, closeQ, { input: "logits", out });
      return () => [];
    },
    against: divergence(p, logQ, { input: against, check: false }),
    logprobs: divergence(logP, logQ, { check: false }),
    "logprobs, checked": divergence(logP, logQ, {}),
    value: () => {
      const value = klDivergence(p, q, { input: "logits" });
      return () => [value];
    },
    // What the kernels could do at most: one exponential per number and nothing else, from the cache; and 2 reads + 1 write.
    exponentials: () => {
      wasm.kernels.temperature(1);
      for (let r = 0; r < rows; r++) wasm.kernels.sumsOfOne(p.data.byteOffset, scratch, vocabulary);
      return () => [];
    },
    stream: () => {
      const [to, a, b] = [gradient, p, q].map(({ data }) => data.byteOffset) as [number, number, number];
      for (let r = 0; r < rows; r++)
        wasm.kernels.gradientOfTwo(to + r * ROW, a + r * ROW, b + r * ROW, vocabulary, 1, 1, false);
      return () => [];
    },
  },
};
serve([threads > 1 ? shared : alone]);
