import * as ort from "onnxruntime-node";
import { type Datum, rowCount } from "../../data/datum.ts";
import { UserError } from "../../errors.ts";
import type { ModelConfig } from "./model-folder.ts";
import type { Dims } from "./program.ts";

/** Data laid out for the trunk: right-padded to one length; no row that counts ever sees the padding. */
export interface Batch {
  readonly data: readonly Datum[];
  /** Where each datum stands in the list that was split into batches. */
  readonly indices: readonly number[];
  readonly feeds: ReadonlyMap<string, ort.Tensor>;
  readonly dims: Dims;
  /** Rows of datum i are offsets[i] to offsets[i + 1] of the batch's rows. */
  readonly offsets: readonly number[];
}

/** Limits on one pass through the model; a datum that exceeds them alone still gets its pass. */
export interface BatchLimits {
  readonly tokens: number;
  readonly rows: number;
}

/** A score so low that its softmax is exactly 0 in float32, yet finite, so that a row of padding stays a number. */
const MASKED = -1e30;

/** Splits data into batches within the limits, neighbours in length together, so that little is padding. */
export function* splitBatches(data: readonly Datum[], config: ModelConfig, limits: BatchLimits): Generator<Batch> {
  data.forEach((datum, i) => checkDatum(datum, i, config));
  const order = data.map((_, i) => i).sort((a, b) => data[a]!.modelInput.length - data[b]!.modelInput.length);
  let part: number[] = [];
  let rows = 0;
  for (const i of order) {
    const width = data[i]!.modelInput.length;
    const more = rowCount(data[i]!);
    if (part.length > 0 && ((part.length + 1) * width > limits.tokens || rows + more > limits.rows)) {
      yield layOut(data, part, config);
      part = [];
      rows = 0;
    }
    part.push(i);
    rows += more;
  }
  if (part.length > 0) yield layOut(data, part, config);
}

function layOut(all: readonly Datum[], part: readonly number[], config: ModelConfig): Batch {
  const indices = part.toSorted((a, b) => a - b);
  const data = indices.map((i) => all[i]!);
  const width = Math.max(...data.map((datum) => datum.modelInput.length));
  const tokens = new BigInt64Array(data.length * width);
  const offsets = [0];
  const rows: bigint[] = [];
  data.forEach((datum, b) => {
    datum.modelInput.forEach((token, t) => {
      tokens[b * width + t] = BigInt(token);
    });
    const { positions } = datum.lossInputs;
    for (let i = 0; i < rowCount(datum); i++) rows.push(BigInt(b * width + (positions ? positions.data[i]! : i)));
    offsets.push(rows.length);
  });
  const starts = new Array<number>(data.length).fill(0);
  const layout = attentionLayout(config, { batch: data.length, time: width, past: 0, starts });
  const feeds = new Map(layout.feeds);
  feeds.set("tokens", new ort.Tensor("int64", tokens, [tokens.length]));
  feeds.set("rows", new ort.Tensor("int64", BigInt64Array.from(rows), [rows.length]));
  return { data, indices, feeds, dims: { ...layout.dims, R: rows.length }, offsets };
}

/** What attention needs to know of a batch in which sequence b begins at column starts[b] (left padding). */
export function attentionLayout(
  config: ModelConfig,
  { batch, time, past, starts }: { batch: number; time: number; past: number; starts: readonly number[] },
): { feeds: Map<string, ort.Tensor>; dims: Dims } {
  const seen = past + time;
  const group = config.heads / config.kvHeads;
  const masks = starts.some((start) => start > 0) ? batch : 1;
  const mask = new Float32Array(masks * group * time * seen);
  for (let b = 0; b < masks; b++) {
    for (let g = 0; g < group; g++) {
      for (let t = 0; t < time; t++) {
        const row = ((b * group + g) * time + t) * seen;
        mask.fill(MASKED, row, row + starts[b]!);
        mask.fill(MASKED, row + past + t + 1, row + seen);
      }
    }
  }
  const positions = new BigInt64Array(batch * time);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < time; t++) positions[b * time + t] = BigInt(Math.max(0, past + t - starts[b]!));
  }
  return {
    feeds: new Map<string, ort.Tensor>([
      ["mask", new ort.Tensor("float32", mask, [masks, 1, group * time, seen])],
      ["positions", new ort.Tensor("int64", positions, [batch, time])],
    ]),
    dims: { B: batch, T: time, N: batch * time, P: past, S: seen, GT: group * time, M: masks },
  };
}

function checkDatum(datum: Datum, index: number, config: ModelConfig): void {
  const name = datum.source ?? `datum ${index}`;
  const { modelInput, lossInputs } = datum;
  const rows = rowCount(datum);
  if (modelInput.length === 0) throw new UserError(`${name} has no tokens: a model needs at least one to read`);
  if (modelInput.length > config.maxPositions) {
    throw new UserError(
      `${name} is ${modelInput.length} tokens long, the model reads at most ${config.maxPositions}: shorten or split it`,
    );
  }
  if (lossInputs.weights.data.length !== rows) {
    throw new UserError(
      `${name} has ${rows} target_tokens and ${lossInputs.weights.data.length} weights: give one weight per target`,
    );
  }
  if (!lossInputs.positions && rows !== modelInput.length) {
    throw new UserError(
      `${name} has ${modelInput.length} input tokens and ${rows} target_tokens: give one target per token, or positions`,
    );
  }
  const positions = lossInputs.positions?.data;
  if (positions && (positions.length !== rows || positions.some((p) => p < 0 || p >= modelInput.length))) {
    throw new UserError(
      `${name} needs ${rows} positions within 0 to ${modelInput.length - 1}, found [${positions.join(", ")}]`,
    );
  }
  for (const tokens of [modelInput, lossInputs.target_tokens.data]) {
    const stray = tokens.find((token) => token < 0 || token >= config.vocabSize);
    if (stray !== undefined) {
      throw new UserError(
        `${name} holds token ${stray}, the model's vocabulary has ${config.vocabSize}: was it tokenized for another model?`,
      );
    }
  }
}
