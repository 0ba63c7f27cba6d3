import { buildDecoder, DECODER_DIMENSIONS } from "../families/decoder.ts";
import type { Lora } from "../families/lora.ts";
import type { ModelConfig } from "../families/model-config.ts";
import { gradients, residuals } from "../graph/gradient.ts";
import { gemm, logSoftmax } from "../graph/operators.ts";
import { input, type Value } from "../graph/value.ts";
import { type Machine, nameResiduals, Program } from "./program.ts";

/** The name under which a program hands out the gradient of one of its inputs, and takes that of its output. */
export const gradientOf = (name: string) => `gradient.${name}`;

/** What programs are opened for. */
export interface ModelMachine extends Machine {
  readonly config: ModelConfig;
}

/** Forward and backward of a decoder: a vector-Jacobian pair, so that any loss can run between the two. */
export interface TrainPrograms {
  /** `hidden` and the residuals, by the names under which the backward program takes them. */
  readonly forward: Program;
  /** From `gradient.hidden` the gradient of every trained input. */
  readonly backward: Program;
}

/** @param hidden the decoder's result. */
export async function openTrainPrograms(
  machine: Machine,
  hidden: Value,
  trained: readonly Value[],
): Promise<TrainPrograms> {
  const seed = input(gradientOf("hidden"), hidden.shape);
  const found = gradients(hidden, seed, trained);
  const given = nameResiduals(residuals([hidden], found));
  const dimensions = DECODER_DIMENSIONS;
  const forward = await Program.open(
    machine,
    new Map([["hidden", hidden], ...[...given].map(([value, name]) => [name, value] as const)]),
    { dimensions },
  );
  const outputs = new Map(trained.map(({ name }, i) => [gradientOf(name!), found[i]!]));
  return { forward, backward: await Program.open(machine, outputs, { dimensions, given }) };
}

/** `hidden` alone: to look without training. */
export function openForward(machine: ModelMachine, lora: Lora | null): Promise<Program> {
  const { hidden } = buildDecoder(machine.config, lora);
  return Program.open(machine, new Map([["hidden", hidden]]), { dimensions: DECODER_DIMENSIONS });
}

/** `hidden` and the keys and values of new tokens, `now.*`, beside those of earlier ones, `past.*`: one step of sampling. */
export function openCached(machine: ModelMachine, lora: Lora | null): Promise<Program> {
  const { hidden, now } = buildDecoder(machine.config, lora, { cached: true });
  const dimensions = [...DECODER_DIMENSIONS, "past"];
  return Program.open(machine, new Map([["hidden", hidden], ...now]), { dimensions });
}

/** `hidden` [rows, d] and `head` [V, d] to `logprobs` [rows, V]. */
export function openHead(machine: ModelMachine): Promise<Program> {
  const { hidden, head } = headInputs(machine.config);
  return Program.open(machine, new Map([["logprobs", logSoftmax(gemm(hidden, head, { transB: true }))]]));
}

/** From the gradient of the logits [rows, V] that of `hidden` and, when the head is trained, that of `head`. */
export function openHeadBackward(machine: ModelMachine, trainHead: boolean): Promise<Program> {
  const { hidden, head } = headInputs(machine.config);
  const logits = gemm(hidden, head, { transB: true });
  const trained = trainHead ? [hidden, head] : [hidden];
  const found = gradients(logits, input(gradientOf("logits"), logits.shape), trained);
  return Program.open(machine, new Map(trained.map(({ name }, i) => [gradientOf(name!), found[i]!])));
}

function headInputs({ hiddenSize, vocabSize }: ModelConfig): { hidden: Value; head: Value } {
  return { hidden: input("hidden", ["rows", hiddenSize]), head: input("head", [vocabSize, hiddenSize]) };
}
