import * as ort from "onnxruntime-node";
import { type Dim, type Graph, SHAPE_PREFIX, type Value } from "./graph.ts";

/** Named tensors that a program reads. */
export type Feeds = ReadonlyMap<string, ort.Tensor>;
/** Sizes of the named dimensions. */
export type Dims = Readonly<Record<string, number>>;

/**
 * A graph that can run. Outputs are written into buffers that belong to the program and are used again by its next
 * run: memory stays flat, and nothing is copied.
 */
export class Program {
  readonly #session: ort.InferenceSession;
  readonly #inputs: readonly Value[];
  readonly #outputs: readonly Value[];
  readonly #buffers: readonly Map<string, Float32Array>[];
  #turn = 0;

  private constructor(session: ort.InferenceSession, graph: Graph, bufferSets: number) {
    this.#session = session;
    this.#buffers = Array.from({ length: bufferSets }, () => new Map());
    this.#inputs = [...graph.inputs.values()];
    this.#outputs = [...graph.outputs.values()];
  }

  /** @param bufferSets 2 for a program that reads its own last outputs, such as a cache. */
  static async open(graph: Graph, threads: number, bufferSets = 1): Promise<Program> {
    const session = await ort.InferenceSession.create(graph.encode(), {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      // Spinning threads steal the other core from whoever works on a busy machine.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    });
    return new Program(session, graph, bufferSets);
  }

  /** Runs the graph. The returned tensors are valid until the next run, or the one after it with two buffer sets. */
  async run(feeds: readonly Feeds[], dims: Dims): Promise<Map<string, ort.Tensor>> {
    const inputs: Record<string, ort.Tensor> = {};
    for (const { name, shape } of this.#inputs) {
      if (name.startsWith(SHAPE_PREFIX)) inputs[name] = shapeTensor(name, dims);
      else {
        const tensor = feeds.find((map) => map.has(name))?.get(name);
        if (!tensor) throw new Error(`graph input ${name} [${shape.join(", ")}] was not fed`);
        inputs[name] = tensor;
      }
    }
    const fetches: Record<string, ort.Tensor> = {};
    this.#turn = (this.#turn + 1) % this.#buffers.length;
    for (const output of this.#outputs) fetches[output.name] = this.#allocate(output, dims);
    await this.#session.run(inputs, fetches);
    return new Map(Object.entries(fetches));
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  #allocate({ name, shape }: Value, dims: Dims): ort.Tensor {
    const sizes = shape.map((dim) => sizeOf(dim, dims));
    const length = sizes.reduce((product, n) => product * n, 1);
    const buffers = this.#buffers[this.#turn]!;
    let buffer = buffers.get(name);
    if (!buffer || buffer.length < length) {
      buffer = new Float32Array(length);
      buffers.set(name, buffer);
    }
    return new ort.Tensor("float32", buffer.subarray(0, length), sizes);
  }
}

function sizeOf(dim: Dim, dims: Dims): number {
  const size = typeof dim === "number" ? dim : dims[dim];
  if (size === undefined) throw new Error(`dimension ${dim} is not bound`);
  return size;
}

function shapeTensor(name: string, dims: Dims): ort.Tensor {
  const parts = name.slice(SHAPE_PREFIX.length).split(",");
  const sizes = parts.map((part) => BigInt(/^\d+$/.test(part) ? part : sizeOf(part, dims)));
  return new ort.Tensor("int64", BigInt64Array.from(sizes), [sizes.length]);
}
