import type { Datum } from "../data/datum.ts";
import type { AddPart, GradientSum, Item, Part, Span, Step } from "../loss/contract.ts";
import { crossEntropyLoss, type OpenCrossEntropy, worstDatum } from "../loss/cross-entropy.ts";
import { GradientSums } from "../loss/gradient-sum.ts";
import { itemsOf } from "../loss/items.ts";
import type { Stateful } from "../loss/state.ts";
import {
  addAll,
  Member,
  type MemberMeasured,
  type OpenMember,
  settled,
  stateOf,
  type Weighted,
} from "../regularizer/compose.ts";
import { type Anchor, anchorTexts } from "./anchor.ts";
import { TrainingDivergedError } from "./diverged.ts";

/** A regularizer, its weight in the loss, and the text it works on: its mean is over all positions of it. */
export interface Term extends Weighted {
  /** Text of its own, of which each step takes a part. */
  readonly anchors?: readonly Anchor[] | undefined;
  /** Whether it works on the batch's own positions. Default: when it has no anchors. */
  readonly completions?: boolean | undefined;
}

/** What a step measured of its objective. */
export interface ObjectiveMeasured {
  /** Cross-entropy + Σ contributions. */
  readonly value: number;
  readonly cross_entropy: number;
  /** In a full report: the L2 norm of the task's gradient with respect to all logits. */
  readonly task_logit_grad_norm?: number;
  readonly members: Readonly<Record<string, MemberMeasured>>;
}

/** Data that an engine runs in one pass, and what takes their log-probabilities. */
export interface Pass {
  readonly data: readonly Datum[];
  readonly add: AddPart;
}

/** The objective within one step. */
export interface OpenObjective {
  /** The batch first, then each regularizer's anchors. */
  readonly passes: readonly Pass[];
  /** @throws TrainingDivergedError when the cross-entropy is not finite. */
  checkFinite(): void;
  end(): ObjectiveMeasured;
  /** The datum of the batch that the model predicts worst. */
  worst(): { readonly source: string; readonly loss: number };
}

/**
 * Σ w·CE / Σ w + Σ weightᵢ · regularizerᵢ of each step: a regularizer begins with all the text that it has in the step, the
 * batch's, its anchors' or both.
 */
export class Objective {
  readonly state: Stateful;
  readonly #terms: readonly {
    readonly member: Member;
    readonly anchors: readonly ReturnType<typeof anchorTexts>[];
    readonly completions: boolean;
  }[];
  readonly #task = crossEntropyLoss();

  constructor(terms: readonly Term[]) {
    this.#terms = terms.map(({ anchors = [], completions = anchors.length === 0, ...weighted }) => ({
      member: new Member(weighted),
      anchors: anchors.map(anchorTexts),
      completions,
    }));
    this.state = stateOf(this.#terms.map(({ member }) => member));
  }

  async begin(batch: readonly Datum[], step: Step): Promise<OpenObjective> {
    const items = itemsOf(batch);
    const texts: Item[][] = [];
    for (const { anchors } of this.#terms) {
      const own: Item[] = [];
      for (const at of anchors) for (const item of itemsOf(await at(step.number))) own.push(item);
      texts.push(own);
    }
    const members = await settled(
      this.#terms.map(({ member, completions }, i) =>
        member.begin([...(completions ? items : []), ...texts[i]!], step),
      ),
    );
    const task = this.#task.begin(items);
    const taskSums = step.full ? new GradientSums() : undefined;
    const here = members.filter((_, i) => this.#terms[i]!.completions);
    const anchored = members.flatMap((member, i): Pass[] => {
      const data = texts[i]!.map(({ datum }) => datum);
      const first = this.#terms[i]!.completions ? items.length : 0;
      return data.length === 0 ? [] : [{ data, add: (part, into) => addAll([member], shifted(part, first), into) }];
    });
    return {
      passes: [{ data: batch, add: (part, into) => addTaskAndMembers(task, here, part, into, taskSums) }, ...anchored],
      checkFinite: () => {
        if (Number.isFinite(task.sofar)) return;
        throw new TrainingDivergedError(step.number, `the loss became ${task.sofar}`, worstOf(items, task));
      },
      end: () => {
        const measured = Object.fromEntries(members.map((member) => [member.name, member.end()]));
        const contributions = Object.values(measured).reduce((sum, { contribution }) => sum + contribution, 0);
        return {
          value: task.sofar + contributions,
          cross_entropy: task.sofar,
          ...(taskSums && here.length > 0 && { task_logit_grad_norm: taskSums.norm }),
          members: measured,
        };
      },
      worst: () => worstOf(items, task),
    };
  }
}

async function addTaskAndMembers(
  task: OpenCrossEntropy,
  members: readonly OpenMember[],
  part: Part,
  into: GradientSum,
  sums: GradientSums | undefined,
): Promise<void> {
  task.add(part, into);
  // What a regularizer measures of a broken model is beside the point.
  if (members.length === 0 || !Number.isFinite(task.sofar)) return;
  sums?.add(into.gradient, undefined);
  await addAll(members, part, into, into);
}

function worstOf(items: readonly Item[], task: OpenCrossEntropy) {
  return worstDatum(items, task.end().positions ?? []);
}

/** The same part of a batch that begins with `first` other items. */
function shifted(part: Part, first: number): Part {
  if (first === 0) return part;
  const move = ({ index, from, to }: Span): Span => ({ index: index + first, from, to });
  return { spans: part.spans.map(move), logprobs: part.logprobs };
}
