import { concat } from "../graph/operators.ts";
import { input, type Value } from "../graph/value.ts";
import { type Attention, attentionInput } from "./attention.ts";
import { type Lora, loraNames, loraShapes } from "./lora.ts";
import type { ModelConfig } from "./model-config.ts";

/** What a family says of a model: names and shapes of its weights, and the ways in which its layers attend. */
export interface Declared {
  readonly weights: ReadonlyMap<string, readonly number[]>;
  readonly ways: readonly Attention[];
}

/** Everything that a decoder's graph is fed: tokens, weights, LoRA matrices, and with a cache earlier keys and values. */
export class DecoderInputs {
  readonly config: ModelConfig;
  readonly lora: Lora | null;
  /** [tokens, hidden] where tokens = batch · length, row-major. */
  readonly embeddings: Value;
  /** [batch, length] */
  readonly positions: Value;
  /** Base weights by their names in the checkpoint. */
  readonly weights: ReadonlyMap<string, Value>;
  /** LoRA matrices by their names in PEFT's layout. */
  readonly adapter: ReadonlyMap<string, Value>;
  /** The ways in which the family's layers attend. */
  readonly ways: readonly Attention[];
  /** With a cache: keys and values of each layer, old and new tokens together, [batch, kvHeads, context, headDim]. */
  readonly present = new Map<string, Value>();
  /** The dimension that keys lie along. */
  readonly context: "context" | "length";
  readonly #attention = new Map<string, Value>();

  /**
   * @param lora null: the base model alone.
   * @param cached takes keys and values of earlier tokens as inputs `past.*`.
   */
  constructor(config: ModelConfig, { weights, ways }: Declared, lora: Lora | null, cached: boolean) {
    const inputs = (shapes: ReadonlyMap<string, readonly number[]>) =>
      new Map([...shapes].map(([name, shape]) => [name, input(name, shape)]));
    this.config = config;
    this.lora = lora;
    this.embeddings = input("embeddings", ["tokens", config.hiddenSize]);
    this.positions = input("positions", ["batch", "length"], "int64");
    this.weights = inputs(weights);
    this.adapter = lora ? inputs(loraShapes(config, weights, lora)) : new Map();
    this.ways = ways;
    this.context = cached ? "context" : "length";
  }

  /** A weight that the family has. */
  weight(name: string): Value {
    const weight = this.weights.get(name);
    if (!weight) throw new Error(`the family declares no weight ${name}`);
    return weight;
  }

  /** The LoRA pair beside a linear map, if it has one. */
  pair(module: string): { readonly a: Value; readonly b: Value } | undefined {
    const names = loraNames(module);
    const [a, b] = [this.adapter.get(names.a), this.adapter.get(names.b)];
    return a && b && { a, b };
  }

  /** What is added to scores: the same for every sequence [queries, length]; with a cache [batch, 1, queries, context]. */
  mask(attention: Attention): Value {
    const shape = this.context === "context" ? ["batch", 1, "queries", "context"] : ["queries", "length"];
    return this.#own(attentionInput("mask", attention), shape);
  }

  /** [positions, headDim / 2] each. */
  rotary(attention: Attention): { readonly cos: Value; readonly sin: Value } {
    const shape = ["positions", this.config.headDim / 2];
    return {
      cos: this.#own(attentionInput("cos", attention), shape),
      sin: this.#own(attentionInput("sin", attention), shape),
    };
  }

  /** Keys or values of a layer [batch, kvHeads, length, headDim]; with a cache those of earlier tokens come first. */
  withPast(layer: number, what: "key" | "value", now: Value): Value {
    if (this.context === "length") return now;
    const { kvHeads, headDim } = this.config;
    const past = input(`past.${layer}.${what}`, ["batch", kvHeads, "past", headDim]);
    const all = concat([past, now], 2, "context");
    this.present.set(`present.${layer}.${what}`, all);
    return all;
  }

  #own(name: string, shape: readonly (string | number)[]): Value {
    const value = this.#attention.get(name) ?? input(name, shape);
    this.#attention.set(name, value);
    return value;
  }
}
