import type { Reduction } from "../divergence/options.ts";
import type { Item, OpenLoss, Step } from "../loss/contract.ts";
import type { Stateful } from "../loss/state.ts";
import type { Reference } from "../reference/contract.ts";
import type { Regularizer } from "./contract.ts";
import { checkSettings, type Measure, type PositionSettings, positionLoss } from "./position-loss.ts";

/** What regularizers over positions have in common. */
export interface PositionRegularizerOptions extends PositionSettings {
  readonly name: string;
  readonly weight?: number | undefined;
  readonly reduction: Reduction;
  readonly temperature?: number | undefined;
  readonly measure: Measure;
  readonly reference?: Reference | undefined;
}

/** The loss of a step, from its batch and what holds in it. */
export type Begin = (batch: readonly Item[], step: Step) => Promise<OpenLoss>;

/** A regularizer that measures each position of a batch, against a reference or without. */
export class PositionRegularizer implements Regularizer {
  readonly name: string;
  readonly weight: number | undefined;
  /** What the model is held to, where there is a reference. */
  readonly reference: Reference | undefined;
  readonly begin: Begin;

  /** @throws UserError for an invalid reduction, epsilon, clip or temperature. */
  constructor({ name, weight, reference, measure, reduction, epsilon, clip, temperature }: PositionRegularizerOptions) {
    const settings = { reduction, ...(epsilon !== undefined && { epsilon }), ...(clip !== undefined && { clip }) };
    checkSettings(measure.what, { ...settings, ...(temperature !== undefined && { temperature }) });
    this.name = name;
    this.weight = weight;
    this.reference = reference;
    this.begin = async (batch, step) => {
      const data = batch.map(({ datum }) => datum);
      const begun = reference && { open: await reference.begin(data, step), description: reference.description };
      return positionLoss(measure, settings, batch, begun, step);
    };
  }

  get state(): Stateful | undefined {
    return this.reference?.state;
  }
}
