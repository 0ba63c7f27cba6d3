import { join } from "node:path";
import { expect, test } from "vitest";
import { openSafetensors, writeSafetensors } from "../../src/data/safetensors.ts";
import type { Tensor } from "../../src/divergence/tensor.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";
import { FIXTURE, klamp, Workspace } from "./workspace.ts";

const MODEL = join(FIXTURE, "model");
const ADAPTER = "run/adapter/adapter_model.safetensors";

test("a loss that is no longer finite ends the run; the weights that were last measured are kept", async () => {
  const workspace = new Workspace();
  // The decay turns each weight round and makes it 10,000 times larger, until float32 ends.
  const blowUp = {
    optimizer: { learning_rate: 1, weight_decay: 1e4, grad_clip: 0 },
    regularizers: [{ type: "kl_divergence", weight: 0.1, text: "completions" }],
  };
  const { code, out, err } = await workspace.train({ ...blowUp, train: { steps: 100, batch_size: 4 } });
  expect([code, out]).toEqual([2, ""]);
  const said = err.trimEnd().split("\n").at(-1)!;
  const [, step] = /^klamp: step (\d+): the loss became NaN, training stopped before this update; /.exec(said)!;
  expect(said).toMatch(
    /the worst datum of the batch is train\.jsonl:\d+ \(cross-entropy NaN\): try a lower learning rate, .* \(in a configuration optimizer\.learning_rate/,
  );
  expect(said).toContain(
    `; ${workspace.path("run/adapter")} holds the weights that step ${Number(step) - 1} measured, `,
  );
  expect(err).not.toMatch(/^ +at /m);

  const rows = workspace.metrics();
  expect(rows.length).toBeGreaterThan(2);
  expect(rows.map(({ step }) => step)).toEqual(Array.from({ length: Number(step) - 1 }, (_, i) => i + 1));
  expect(rows.every((row) => Object.values(row).every(Number.isFinite))).toBe(true);

  const file = await openSafetensors(workspace.path(ADAPTER));
  for (const name of file.shapes.keys()) expect((await file.read(name)).data.every(Number.isFinite), name).toBe(true);
  await file.close();
  const model = await LocalModel.open(MODEL);
  await (await model.trainingClient({ adapter: workspace.path("run/adapter") })).close();
  await model.close();

  // Step n measures what n − 1 updates made.
  const shorter = new Workspace();
  await shorter.train({ ...blowUp, train: { steps: rows.length - 1, batch_size: 4 } });
  expect(workspace.read(ADAPTER)).toBe(shorter.read(ADAPTER));
});

test("an adapter with a NaN is refused before the first step, and nothing is written", async () => {
  const workspace = new Workspace();
  workspace.copy("adapter-init");
  await breakOneNumber(workspace.path("adapter-init/adapter_model.safetensors"));
  const config = workspace.config({ train: { steps: 5, adapter: "./adapter-init" } });
  const before = workspace.everything();
  const { code, err } = await klamp("train", "--config", config);
  expect(code).toBe(2);
  expect(err).toMatch(/^klamp: .*adapter_model\.safetensors holds NaN in tensor .* \(number 3 of /m);
  expect(workspace.everything()).toEqual(before);
});

async function breakOneNumber(path: string): Promise<void> {
  const file = await openSafetensors(path);
  const tensors = new Map<string, Tensor>();
  for (const name of file.shapes.keys()) tensors.set(name, await file.read(name));
  await file.close();
  const [first] = tensors.values();
  first!.data[3] = Number.NaN;
  await writeSafetensors(path, tensors);
}
