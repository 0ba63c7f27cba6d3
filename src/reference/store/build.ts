import { UserError } from "../../common/errors.ts";
import { type Datum, rowCount } from "../../data/datum.ts";
import { runs } from "../../data/runs.ts";
import { entropy } from "../../divergence/entropy.ts";
import { selectTopK, type TopK, topK } from "../../divergence/supports/top-k.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { VocabularyModel } from "../../model/contract.ts";
import { storeBytes } from "./files.ts";
import { rowFormat, type StoreIdentity } from "./identity.ts";
import { StoreReader } from "./reader.ts";
import { encodeRows } from "./record.ts";
import { positionsOf, textKey } from "./text-key.ts";
import { type NewRecord, StoreWriter } from "./writer.ts";

/** The model that a store is built from. */
export type StoreSource = Pick<VocabularyModel, "eachRun">;

/** What a store holds, and where it comes from. */
export interface BuildOptions {
  readonly folder: string;
  readonly identity: StoreIdentity;
  readonly source: StoreSource;
  /** When aborted, the block under way is finished. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each block with how many of the missing texts are written. */
  readonly onProgress?: ((progress: BuildProgress) => void) | undefined;
  /** Tokens per block: what is computed together, and the most that an interruption costs. Default 1024. */
  readonly blockTokens?: number;
  /** Default 1 GiB. */
  readonly shardBytes?: number;
}

/** How many of the texts that were missing are written now. */
export interface BuildProgress {
  readonly texts: number;
  readonly of: number;
  /** Rows written so far by this build, one for each position. */
  readonly rows: number;
}

/** What a build did. */
export interface BuildResult extends BuildProgress {
  /** Texts that the store had already, each counted once. */
  readonly found: number;
  /** Of the whole store. */
  readonly bytes: number;
  readonly interrupted: boolean;
}

/**
 * Adds the reference's rows of every datum to a store, unless it has them. Interrupted at any moment and started again with
 * the same data, it writes the same bytes as an uninterrupted build.
 *
 * @throws UserError when the folder holds something else, or the store of another reference.
 * @example await buildStore(data, { folder: "./reference", identity, source: model.sampler() });
 */
export async function buildStore(data: readonly Datum[], options: BuildOptions): Promise<BuildResult> {
  const { folder, identity, source, signal, onProgress, blockTokens = 1024 } = options;
  const writer = await StoreWriter.open(folder, identity, options);
  try {
    const { missing, found } = lacking(folder, data);
    let [texts, rows] = [0, 0];
    // Blocks depend only on what is still missing, so that a resumed build forms the same ones.
    for (const block of runs(missing, blockTokens, ({ modelInput }) => modelInput.length)) {
      if (signal?.aborted) break;
      await writer.append(await recordsOf(block, identity, source));
      texts += block.length;
      rows += block.reduce((sum, datum) => sum + rowCount(datum), 0);
      onProgress?.({ texts, of: missing.length, rows });
    }
    const interrupted = texts < missing.length;
    return { texts, of: missing.length, rows, found, bytes: storeBytes(folder), interrupted };
  } finally {
    await writer.close();
  }
}

/** The texts to compute: each once, with its positions in ascending order, unless the store or an earlier text has them. */
function lacking(folder: string, data: readonly Datum[]): { missing: Datum[]; found: number } {
  const store = StoreReader.open(folder);
  try {
    const known = new Map<string, Set<number>[]>();
    const missing: Datum[] = [];
    let found = 0;
    for (const datum of data) {
      const positions = [...new Set(positionsOf(datum))].sort((a, b) => a - b);
      const key = textKey(datum).toString("latin1");
      const sets = known.get(key) ?? [];
      if (sets.some((set) => positions.every((position) => set.has(position)))) continue;
      known.set(key, [...sets, new Set(positions)]);
      if (store.has(datum)) found++;
      else missing.push(rowsAt(datum, Int32Array.from(positions)));
    }
    return { missing, found };
  } finally {
    store.close();
  }
}

/** The text with rows at these positions; targets and weights play no part. */
function rowsAt({ modelInput, source }: Datum, positions: Int32Array): Datum {
  const shape = [positions.length];
  return {
    modelInput,
    lossInputs: {
      target_tokens: { data: new Int32Array(positions.length), shape },
      weights: { data: new Float32Array(positions.length).fill(1), shape },
      positions: { data: positions, shape },
    },
    ...(source !== undefined && { source }),
  };
}

async function recordsOf(block: readonly Datum[], identity: StoreIdentity, source: StoreSource): Promise<NewRecord[]> {
  const kept = block.map((datum) => newRows(datum, identity));
  await source.eachRun(block, ({ index, row, logprobs, hidden }) => {
    const { entropy: entropies, rows } = kept[index]!;
    entropies.set(entropy(logprobs, { reduction: "none" }).data, row);
    if ("support" in rows) copyRows(selectTopK(logprobs, identity.k!), rows, row);
    else rows.data.set(hidden.data, row * hidden.shape[1]!);
  });
  return block.map((datum, i) => {
    const { entropy, rows } = kept[i]!;
    if (!("support" in rows)) refuseLarge(rows, datum);
    return {
      key: textKey(datum),
      bytes: encodeRows({ positions: positionsOf(datum), kept: rows, entropy }, rowFormat(identity)),
    };
  });
}

function newRows(datum: Datum, { kind, k, hidden_size }: StoreIdentity) {
  const count = positionsOf(datum).length;
  const floats = (...shape: number[]) => ({ data: new Float32Array(shape.reduce((a, b) => a * b)), shape });
  const rows =
    kind === "hidden"
      ? floats(count, hidden_size!)
      : topK({ data: new Int32Array(count * k!), shape: [count, k!] }, floats(count, k!), { tail: floats(count) });
  return { entropy: new Float32Array(count), rows };
}

function copyRows(from: TopK, to: TopK, row: number): void {
  const k = to.tokens.shape[1]!;
  to.tokens.data.set(from.tokens.data, row * k);
  to.logprobs.data.set(from.logprobs.data, row * k);
  to.tail!.data.set(from.tail!.data, row);
}

/** Float16 ends at 65504. */
function refuseLarge({ data }: Tensor, { source = "a text" }: Datum): void {
  const large = data.find((number) => !(Math.abs(number) <= 65504));
  if (large === undefined) return;
  throw new UserError(
    `the final hidden states of ${source} hold the number ${large}, which float16 cannot represent: build a store of kind top-k`,
  );
}
