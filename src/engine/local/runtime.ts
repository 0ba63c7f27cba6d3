/** @file The one port to whatever runs graphs: for the embedded engine, ONNX Runtime in this process. */

import type * as ort from "onnxruntime-node";
import { UserError } from "../../common/errors.ts";

/** A tensor where a runtime can read it. */
export interface RuntimeTensor {
  readonly shape: readonly number[];
  /** Where it lies: in the memory of this process. */
  readonly location: "cpu";
}

/** One of float32 numbers, which are read and written in place. */
export interface FloatTensor extends RuntimeTensor {
  readonly data: Float32Array;
}

/** Tensors by the names of graph inputs. */
export type Feeds = ReadonlyMap<string, RuntimeTensor>;

/** A graph that is ready to run. */
export interface Session {
  /** Reads `inputs` where they lie and writes the results into `outputs`: nothing is copied. */
  run(inputs: Feeds, outputs: ReadonlyMap<string, FloatTensor>): Promise<void>;
  close(): Promise<void>;
}

export interface Runtime {
  /** A tensor over these numbers, which are not copied. */
  floats(data: Float32Array, shape: readonly number[]): FloatTensor;
  /** A tensor of integers, such as positions, converted to the 64 bits that graphs take. */
  int64s(values: ArrayLike<number>, shape: readonly number[]): RuntimeTensor;
  /** Opens an ONNX model. */
  open(model: Uint8Array, options: { readonly threads: number }): Promise<Session>;
}

/** The package brings its CPU library along; its install script would download GPU libraries, and fail where it cannot. */
const INSTALL = "npm install onnxruntime-node@1.30 --ignore-scripts";

/**
 * ONNX Runtime on the processor. Its package is optional and loaded here alone.
 *
 * @param load for tests.
 * @throws UserError when the package is not installed or cannot be loaded.
 */
export async function loadRuntime(load: () => Promise<object> = () => import("onnxruntime-node")): Promise<Runtime> {
  try {
    return onnxRuntime((await load()) as typeof ort);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const isMissing = code === "ERR_MODULE_NOT_FOUND";
    const why = isMissing ? "is not installed" : `cannot be loaded (${message.split("\n")[0]})`;
    throw new UserError(`the embedded engine needs the package onnxruntime-node, which ${why}: ${INSTALL}`, { cause });
  }
}

function onnxRuntime({ InferenceSession, Tensor }: typeof ort): Runtime {
  return {
    floats: (data, shape) => new OnnxTensor(new Tensor("float32", data, shape), data),
    int64s: (values, shape) => {
      const data = BigInt64Array.from(values as number[], BigInt);
      return new OnnxTensor(new Tensor("int64", data, shape), data);
    },
    async open(model, { threads }) {
      const session = await InferenceSession.create(model, {
        executionProviders: ["cpu"],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        graphOptimizationLevel: "all",
        // Spinning takes the other core from whoever works on a busy machine.
        extra: { session: { intra_op: { allow_spinning: "0" } } },
      });
      return {
        run: async (inputs, outputs) => {
          await session.run(natives(inputs), natives(outputs));
        },
        close: () => session.release(),
      };
    },
  };
}

class OnnxTensor<Data> implements RuntimeTensor {
  readonly location = "cpu";
  readonly native: ort.Tensor;
  readonly data: Data;

  constructor(native: ort.Tensor, data: Data) {
    this.native = native;
    this.data = data;
  }

  get shape(): readonly number[] {
    return this.native.dims;
  }
}

function natives(tensors: Feeds): Record<string, ort.Tensor> {
  const record: Record<string, ort.Tensor> = {};
  for (const [name, tensor] of tensors) {
    if (!(tensor instanceof OnnxTensor)) throw new Error(`tensor ${name} is of another runtime`);
    record[name] = tensor.native;
  }
  return record;
}
