import { buildDecoder, DECODER_DIMENSIONS, type Decoder, type Lora } from "../families/decoder.ts";
import type { ModelConfig } from "../families/model-config.ts";
import { gradients, keptValues } from "../graph/gradient.ts";
import { gemm, logSoftmax } from "../graph/operators.ts";
import { input, type Value } from "../graph/value.ts";
import { nameKept, Program } from "./program.ts";

/** The name under which a program hands out the gradient of one of its inputs, and takes that of its output. */
export const gradientOf = (name: string) => `gradient.${name}`;

/** Forward and backward of a decoder: a vector-Jacobian pair, so that any loss can run between the two. */
export interface TrainPrograms {
  /** `hidden` and what the backward program needs, by the names that it takes. */
  readonly forward: Program;
  /** From `gradient.hidden` the gradient of every trained input. */
  readonly backward: Program;
}

export async function openTrainPrograms(
  decoder: Decoder,
  trained: readonly Value[],
  threads: number,
): Promise<TrainPrograms> {
  const { hidden } = decoder;
  const seed = input(gradientOf("hidden"), hidden.shape);
  const slopes = gradients(hidden, seed, trained);
  const kept = nameKept(keptValues([hidden], slopes));
  const options = { threads, dimensions: DECODER_DIMENSIONS };
  const forward = await Program.open(
    new Map([["hidden", hidden], ...[...kept].map(([value, name]) => [name, value] as const)]),
    options,
  );
  const backward = await Program.open(new Map(trained.map(({ name }, i) => [gradientOf(name!), slopes[i]!])), {
    ...options,
    given: kept,
  });
  return { forward, backward };
}

/** `hidden` alone: to look without training. */
export function openForward(config: ModelConfig, lora: Lora | null, threads: number): Promise<Program> {
  const { hidden } = buildDecoder(config, lora);
  return Program.open(new Map([["hidden", hidden]]), { threads, dimensions: DECODER_DIMENSIONS });
}

/** `hidden` and the extended keys and values, from `past.*`: one step of sampling. */
export function openCached(config: ModelConfig, lora: Lora | null, threads: number): Promise<Program> {
  const { hidden, present } = buildDecoder(config, lora, true);
  return Program.open(new Map([["hidden", hidden], ...present]), { threads, dimensions: DECODER_DIMENSIONS, turns: 2 });
}

/** `hidden` [rows, d] and `head` [V, d] to `logprobs` [rows, V]. */
export function openHead(config: ModelConfig, threads: number): Promise<Program> {
  const { hidden, head } = headInputs(config);
  return Program.open(new Map([["logprobs", logSoftmax(gemm(hidden, head, { transB: true }))]]), { threads });
}

/** From the gradient of the logits [rows, V] that of `hidden` and, when the head is trained, that of `head`. */
export function openHeadBackward(config: ModelConfig, trainHead: boolean, threads: number): Promise<Program> {
  const { hidden, head } = headInputs(config);
  const logits = gemm(hidden, head, { transB: true });
  const trained = trainHead ? [hidden, head] : [hidden];
  const slopes = gradients(logits, input(gradientOf("logits"), logits.shape), trained);
  return Program.open(new Map(trained.map(({ name }, i) => [gradientOf(name!), slopes[i]!])), { threads });
}

function headInputs({ hiddenSize, vocabSize }: ModelConfig): { hidden: Value; head: Value } {
  return { hidden: input("hidden", ["rows", hiddenSize]), head: input("head", [vocabSize, hiddenSize]) };
}
