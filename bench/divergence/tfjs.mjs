import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { fill, serve, sumOfFirstRow } from "./contender.ts";

/** @file TensorFlow.js on WebAssembly (SIMD, one thread): the formula, and the gradient by automatic differentiation. */
const [rows, vocabulary] = process.argv.slice(2).map(Number);
setWasmPaths(
  `${dirname(fileURLToPath(import.meta.resolve("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm")))}/`,
);
await tf.setBackend("wasm");
const [p, q] = [new Float32Array(rows * vocabulary), new Float32Array(rows * vocabulary)];
fill(p, q);
const x = tf.tensor2d(p, [rows, vocabulary]);
const y = tf.tensor2d(q, [rows, vocabulary]);
const logY = tf.logSoftmax(y);

const kl = (logp, logq) => tf.mean(tf.sum(tf.mul(tf.exp(logp), tf.sub(logp, logq)), -1));

/** Copies of the results out of tfjs's memory are not counted: the check is made afterwards. */
function differentiated(f, at) {
  const { value, grad } = tf.valueAndGrad(f)(at);
  return () => {
    const check = [value.dataSync()[0], sumOfFirstRow(tf.slice(grad, [0, 0], [1, vocabulary]).dataSync(), vocabulary)];
    tf.dispose([value, grad]);
    return check;
  };
}

serve([
  {
    name: "tfjs wasm, autograd",
    version: tf.version.tfjs,
    tasks: {
      logits: () => differentiated((x) => kl(tf.logSoftmax(x), tf.logSoftmax(y)), x),
      against: () => differentiated((x) => kl(tf.logSoftmax(x), logY), x),
      value: () => {
        const value = tf.tidy(() => kl(tf.logSoftmax(x), tf.logSoftmax(y)));
        const check = [value.dataSync()[0]];
        tf.dispose(value);
        return () => check;
      },
    },
  },
]);
