import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createRandom } from "../../../src/common/random.ts";
import { type Datum, everyToken } from "../../../src/data/datum.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { StoreIdentity } from "../../../src/reference/store/identity.ts";
import { MODEL } from "../../engine/local/fixture.ts";

/** @file A small model, texts for it, and folders for stores of its distributions. */

export const model = await LocalModel.open(MODEL, { threads: 1 });
export const base = await model.sampler();
export const head = model.stores.head("tests");

/** What a store of the fixture's model holds. */
export function identityOf(kind: "top-k" | "hidden", k = 16): StoreIdentity {
  return {
    kind,
    k: kind === "top-k" ? k : null,
    vocabulary: model.config.vocabSize,
    hidden_size: kind === "hidden" ? model.config.hiddenSize : null,
    temperature: 1,
    model: model.stores.digest(),
    adapter: "none",
    tokenizer: "sha256:0",
  };
}

/** Texts of random tokens, of differing lengths; some ask for their last rows only. */
export function texts(count: number, seed = 1): Datum[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, i) => {
    const tokens = Array.from({ length: 3 + Math.floor(12 * random()) }, () => Math.floor(320 * random()));
    const datum = everyToken(tokens, `texts.jsonl:${i + 1}`);
    return i % 3 === 0 ? lastRows(datum, 2) : datum;
  });
}

/** The datum with its last rows only. */
export function lastRows({ modelInput, lossInputs, source }: Datum, count: number): Datum {
  const from = modelInput.length - count;
  const shape = [count];
  return {
    modelInput,
    lossInputs: {
      target_tokens: { data: lossInputs.target_tokens.data.slice(from), shape },
      weights: { data: lossInputs.weights.data.slice(from), shape },
      positions: { data: Int32Array.from({ length: count }, (_, i) => from + i), shape },
    },
    ...(source !== undefined && { source }),
  };
}

/** A path for a store, until the test is over. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "klamp-store-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, "store");
}

/** The files of a store with their bytes. */
export function filesOf(folder: string): Map<string, Buffer> {
  return new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name))]),
  );
}
