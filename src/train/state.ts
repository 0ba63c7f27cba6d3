import { UserError } from "../common/errors.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { Json, Stateful } from "../loss/state.ts";
import type { TrainingClient } from "../model/contract.ts";

/**
 * All that training needs to go on after a step as if it had never stopped: plain data, which JSON holds, and tensors. The
 * order of data and anchors, schedules and random changes of texts depend on the step alone.
 */
export interface TrainState {
  /** How many steps were taken. */
  readonly step: number;
  /** Of weights that move, and of references that move. */
  readonly values: Json;
  /** Weights, moments and number of updates (`engine/…`), copies of a synced reference (`regularizer/…`), what penalties on matrices keep (`penalty/…`). */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

const ENGINE = "engine/";
const REGULARIZER = "regularizer/";
const PENALTY = "penalty/";

/** @throws UserError for an engine whose state cannot be read. */
export async function readState(
  step: number,
  client: TrainingClient,
  { regularizers, penalties }: { readonly regularizers: Stateful; readonly penalties: Stateful },
): Promise<TrainState> {
  const [own, ofPenalties] = [regularizers.read(), penalties.read()];
  const engine = await stateOf(client).read();
  return {
    step,
    values: { regularizers: own.values, penalties: ofPenalties.values },
    tensors: new Map([
      ...withPrefix(ENGINE, engine),
      ...withPrefix(REGULARIZER, own.tensors),
      ...withPrefix(PENALTY, ofPenalties.tensors),
    ]),
  };
}

/** Goes on from a state that `readState` gave. */
export async function writeState(
  { values, tensors }: TrainState,
  client: TrainingClient,
  { regularizers, penalties }: { readonly regularizers: Stateful; readonly penalties: Stateful },
): Promise<void> {
  const saved = values as { readonly regularizers: Json; readonly penalties: Json };
  await stateOf(client).write(withoutPrefix(ENGINE, tensors));
  regularizers.write({ values: saved.regularizers, tensors: withoutPrefix(REGULARIZER, tensors) });
  penalties.write({ values: saved.penalties, tensors: withoutPrefix(PENALTY, tensors) });
}

function stateOf({ state }: TrainingClient): NonNullable<TrainingClient["state"]> {
  if (state) return state;
  throw new UserError("this engine keeps its state on a server and does not tell it: save a checkpoint there instead");
}

function withPrefix(prefix: string, tensors: ReadonlyMap<string, Tensor>): [string, Tensor][] {
  return [...tensors].map(([name, tensor]) => [prefix + name, tensor]);
}

function withoutPrefix(prefix: string, tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const own = [...tensors].filter(([name]) => name.startsWith(prefix));
  return new Map(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
