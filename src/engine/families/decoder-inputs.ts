import { mul } from "../graph/operators.ts";
import { input, type Value } from "../graph/value.ts";
import { type Attention, attentionInput } from "./attention.ts";
import { type Lora, loraNames, loraShapes } from "./lora.ts";
import type { ModelConfig } from "./model-config.ts";

/** What a decoder does beside reading: keep keys and values for the next tokens, drop part of what LoRA reads. */
export interface DecoderOptions {
  readonly cached?: boolean;
  readonly drops?: boolean;
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
  /** With dropout: a mask on what reaches each A [tokens, in], by the name of its input. */
  readonly dropout = new Map<string, Value>();
  /** With a cache: keys and values of each layer's new tokens, [batch, kvHeads, length, headDim]: `now.0.key`, … */
  readonly now = new Map<string, Value>();
  readonly #drops: boolean;
  readonly #cached: boolean;
  readonly #attention = new Map<string, Value>();

  /**
   * @param weights names and shapes of those that the family has.
   * @param lora null: the base model alone.
   * @param cached takes keys and values of earlier tokens as inputs `past.*`.
   */
  constructor(
    config: ModelConfig,
    weights: ReadonlyMap<string, readonly number[]>,
    lora: Lora | null,
    { cached = false, drops = false }: DecoderOptions,
  ) {
    const inputs = (shapes: ReadonlyMap<string, readonly number[]>) =>
      new Map([...shapes].map(([name, shape]) => [name, input(name, shape)]));
    this.config = config;
    this.lora = lora;
    this.embeddings = input("embeddings", ["tokens", config.hiddenSize]);
    this.positions = input("positions", ["batch", "length"], "int64");
    this.weights = inputs(weights);
    this.adapter = lora ? inputs(loraShapes(weights, lora)) : new Map();
    this.#cached = cached;
    this.#drops = drops;
  }

  /** A weight that the family has. */
  weight(name: string): Value {
    const weight = this.weights.get(name);
    if (!weight) throw new Error(`the family declares no weight ${name}`);
    return weight;
  }

  /** The LoRA pair beside a linear map, and the factor on B·A, if it has one. */
  pair(module: string): { readonly a: Value; readonly b: Value; readonly scale: number } | undefined {
    const settings = this.lora?.get(module);
    if (!settings) return undefined;
    const { a, b } = loraNames(module);
    return { a: this.adapter.get(a)!, b: this.adapter.get(b)!, scale: settings.scale };
  }

  /** x [tokens, width] as it reaches the A beside a linear map: with dropout, each number times one of a mask. */
  toA(module: string, x: Value): Value {
    if (!this.#drops) return x;
    const name = `dropout.${module}`;
    const mask = input(name, x.shape);
    this.dropout.set(name, mask);
    return mul(x, mask);
  }

  /** What is added to scores: the same for every sequence [queries, length]; with a cache [batch, 1, queries, context]. */
  mask(attention: Attention): Value {
    const shape = this.#cached ? ["batch", 1, "queries", "context"] : ["queries", "length"];
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

  /**
   * With a cache: keys and values of a layer's earlier tokens, [batch, kvHeads, past, headDim] each, where columns beyond a
   * sequence's own hold anything and are masked; the new ones are handed out.
   */
  past(layer: number, key: Value, value: Value): { readonly key: Value; readonly value: Value } | undefined {
    if (!this.#cached) return undefined;
    const { kvHeads, headDim } = this.config;
    const of = (what: "key" | "value", now: Value) => {
      this.now.set(`now.${layer}.${what}`, now);
      return input(`past.${layer}.${what}`, ["batch", kvHeads, "past", headDim]);
    };
    return { key: of("key", key), value: of("value", value) };
  }

  #own(name: string, shape: readonly (string | number)[]): Value {
    const value = this.#attention.get(name) ?? input(name, shape);
    this.#attention.set(name, value);
    return value;
  }
}
