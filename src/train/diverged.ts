import { UserError } from "../common/errors.ts";

/** Training stopped before an update because the loss or its gradient was no longer a finite number. */
export class TrainingDivergedError extends UserError {
  override readonly name = "TrainingDivergedError";
  /** The step that was not taken, counted from 1. */
  readonly step: number;
  /** Where the datum with the worst loss came from. */
  readonly source: string;

  constructor(step: number, what: string, { source, loss }: WorstDatum) {
    super(
      `step ${step}: ${what}, training stopped before this update; the worst datum of the batch is ${source} ` +
        `(cross-entropy ${Number.isFinite(loss) ? loss.toFixed(3) : loss}): ` +
        (step === 1
          ? "nothing was updated yet, so look at the model, the adapter that it starts from, and this datum"
          : "try a lower learning rate, more warm-up steps or a smaller gradient clip above 0 " +
            "(in a configuration optimizer.learning_rate, warmup_steps, grad_clip)"),
    );
    this.step = step;
    this.source = source;
  }
}

/** The datum of a batch that the model predicts worst, in nats per token. */
export interface WorstDatum {
  readonly source: string;
  readonly loss: number;
}
