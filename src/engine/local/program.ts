import { type Compiled, compile, dimensionInput } from "../graph/onnx.ts";
import { type Dim, topological, type Value } from "../graph/value.ts";
import type { Feeds, FloatTensor, Runtime, RuntimeTensor, Session } from "./runtime.ts";

/** Sizes of named dimensions. */
export type Dims = Readonly<Record<string, number>>;

/** What programs run on. */
export interface Machine {
  readonly runtime: Runtime;
  /** Threads of one operator. */
  readonly threads: number;
}

/**
 * A graph that can run. Its outputs are written into memory that belongs to the program and serves its next run again:
 * nothing is copied, nothing grows, no fresh page is touched.
 */
export class Program {
  readonly #runtime: Runtime;
  readonly #session: Session;
  readonly #compiled: Compiled;
  readonly #shapes: ReadonlyMap<string, readonly Dim[]>;
  readonly #dimensions: readonly string[];
  readonly #buffers = new Map<string, Float32Array>();

  private constructor(
    runtime: Runtime,
    session: Session,
    compiled: Compiled,
    shapes: ReadonlyMap<string, readonly Dim[]>,
    dimensions: readonly string[],
  ) {
    this.#runtime = runtime;
    this.#session = session;
    this.#compiled = compiled;
    this.#shapes = shapes;
    this.#dimensions = dimensions.filter((name) => compiled.inputs.includes(dimensionInput(name)));
  }

  /**
   * @param given values that are fed, under these names, whatever computes them.
   * @param dimensions named dimensions that are known before a run.
   */
  static async open(
    { runtime, threads }: Machine,
    outputs: ReadonlyMap<string, Value>,
    options: {
      readonly dimensions?: readonly string[];
      readonly given?: ReadonlyMap<Value, string>;
    } = {},
  ): Promise<Program> {
    const { dimensions = [], given = new Map() } = options;
    const compiled = compile(outputs, given, dimensions);
    const session = await runtime.open(compiled.bytes, { threads });
    const shapes = new Map([...outputs].map(([name, { shape }]) => [name, shape]));
    return new Program(runtime, session, compiled, shapes, dimensions);
  }

  /** Runs the graph on the first of `feeds` that has each input. The results stay valid until the next run. */
  async run(feeds: readonly Feeds[], dims: Dims): Promise<Map<string, FloatTensor>> {
    const inputs = new Map<string, RuntimeTensor>();
    for (const name of this.#dimensions) inputs.set(dimensionInput(name), this.#runtime.int64s([dims[name]!], [1]));
    for (const name of this.#compiled.inputs) {
      const tensor = inputs.get(name) ?? feeds.find((each) => each.has(name))?.get(name);
      if (!tensor) throw new Error(`graph input ${name} was not fed`);
      inputs.set(name, tensor);
    }
    const outputs = new Map([...this.#shapes].map(([name, shape]) => [name, this.#buffer(name, shape, dims)]));
    await this.#session.run(inputs, outputs);
    return outputs;
  }

  close(): Promise<void> {
    return this.#session.close();
  }

  #buffer(name: string, shape: readonly Dim[], dims: Dims): FloatTensor {
    const sizes = shape.map((dim) => {
      const size = typeof dim === "number" ? dim : dims[dim];
      if (size === undefined) throw new Error(`dimension ${dim} of ${name} is not known`);
      return size;
    });
    const length = sizes.reduce((product, n) => product * n, 1);
    let buffer = this.#buffers.get(name);
    if (!buffer || buffer.length < length) {
      buffer = new Float32Array(length);
      this.#buffers.set(name, buffer);
    }
    return this.#runtime.floats(buffer.subarray(0, length), sizes);
  }
}

/** Names for values that one program hands to another: `residual.0`, `residual.1`, … */
export function nameResiduals(values: readonly Value[]): Map<Value, string> {
  return new Map(
    topological(values)
      .filter((value) => values.includes(value))
      .map((value, i) => [value, `residual.${i}`]),
  );
}
