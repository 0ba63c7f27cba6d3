import * as ort from "onnxruntime-node";
import { compile, dimensionInput } from "../../../src/engine/graph/onnx.ts";
import { topological, type Value } from "../../../src/engine/graph/value.ts";
import type { Tensor64 } from "./tensor64.ts";

/**
 * Computes `outputs` with ONNX Runtime, in float32.
 *
 * @param feeds inputs by name, those that stand for `given` values among them.
 * @param sizes of the named dimensions that reshapes may name.
 */
export async function run(
  outputs: ReadonlyMap<string, Value>,
  feeds: ReadonlyMap<string, Tensor64>,
  sizes: Readonly<Record<string, number>> = {},
  given: ReadonlyMap<Value, string> = new Map(),
): Promise<Map<string, Tensor64>> {
  const { bytes, inputs } = compile(outputs, given, Object.keys(sizes));
  const integers = new Set(
    topological([...outputs.values()]).flatMap(({ name, type }) => (name && type === "int64" ? [name] : [])),
  );
  const session = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  try {
    const dimensions = new Map(Object.entries(sizes).map(([name, size]) => [dimensionInput(name), BigInt(size)]));
    const tensors = inputs.map((name): [string, ort.Tensor] => {
      const dimension = dimensions.get(name);
      if (dimension !== undefined) return [name, new ort.Tensor("int64", [dimension], [1])];
      const { data, shape } = feeds.get(name)!;
      return integers.has(name)
        ? [name, new ort.Tensor("int64", BigInt64Array.from(data, BigInt), shape)]
        : [name, new ort.Tensor("float32", Float32Array.from(data), shape)];
    });
    const results = await session.run(Object.fromEntries(tensors));
    return new Map(
      [...outputs.keys()].map((name) => {
        const { data, dims } = results[name]!;
        return [name, { data: Float64Array.from(data as Float32Array), shape: dims }];
      }),
    );
  } finally {
    await session.release();
  }
}
