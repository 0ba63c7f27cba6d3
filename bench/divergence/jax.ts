import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { init, jit, nn, numpy as np, valueAndGrad } from "@jax-js/jax";
import { fill, serve, sumOfFirstRow } from "./contender.ts";

/** @file jax-js on WebAssembly: the formula compiled, and the gradient by automatic differentiation. */
const [rows, vocabulary] = process.argv.slice(2).map(Number) as [number, number];
await init("wasm");
const [p, q] = [new Float32Array(rows * vocabulary), new Float32Array(rows * vocabulary)];
fill(p, q);
const x = np.array(p).reshape([rows, vocabulary]);
const y = np.array(q).reshape([rows, vocabulary]);
const { version } = JSON.parse(
  readFileSync(fileURLToPath(import.meta.resolve("@jax-js/jax")).replace("dist/index.js", "package.json"), "utf8"),
);

const kl = (x: np.Array, y: np.Array) => {
  // Rows first: a float32 sum over all at once would lose the second digit.
  const [logp, logq] = [nn.logSoftmax(x, -1), nn.logSoftmax(y, -1)];
  return np.exp(logp.ref).mul(logp.sub(logq)).sum(-1).sum().div(rows);
};
const value = jit(kl);
const differentiated = jit(valueAndGrad(kl));

serve([
  {
    name: "jax-js wasm, autograd",
    version,
    tasks: {
      logits: async () => {
        const [found, gradient] = differentiated(x.ref, y.ref);
        const [kl, g] = [await found.data(), await gradient.data()];
        return () => [kl[0]!, sumOfFirstRow(g as Float32Array, vocabulary)];
      },
      value: async () => {
        const [kl] = await value(x.ref, y.ref).data();
        return () => [kl!];
      },
    },
  },
]);
