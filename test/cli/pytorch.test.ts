import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openSafetensors, type SafetensorsFile } from "../../src/data/safetensors.ts";
import { FIXTURE, jsonLines, Workspace } from "./workspace.ts";

/** @file `klamp train` takes the same twenty steps as PyTorch, transformers and PEFT. */

/** Where float32 sums differ in their last digits, numbers near zero have no digits left to agree in. */
const FLOOR = 1e-6;

const DIRECTIONS = [
  { direction: "forward", formula: "model||reference", end: "adapter-final-mr" },
  { direction: "reverse", formula: "reference||model", end: "adapter-final-rm" },
] as const;

for (const { direction, formula, end } of DIRECTIONS) {
  for (const start of ["adapter-init", "adapter-zero"]) {
    test(`twenty steps under KL ${direction} from ${start}`, async () => {
      const workspace = new Workspace();
      workspace.write("train.jsonl", jsonLines(fixtureLines()));
      const { code, err } = await workspace.train({
        train: { steps: 20, batch_size: 2, shuffle: false, adapter: join(FIXTURE, start) },
        optimizer: { learning_rate: 5e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0, grad_clip: 0 },
        regularizers: [{ type: "kl_divergence", weight: 0.1, direction, text: "completions" }],
      });
      expect(err).toContain("step 20/20");
      expect(code).toBe(0);

      const rows = workspace.metrics();
      const expected = readJsonLines("expected.jsonl").filter(
        (row) => row.direction === formula && row.start === start,
      );
      expect(expected).toHaveLength(20);
      expect(rows.map(({ step }) => step)).toEqual(expected.map(({ step }) => step));
      for (const [i, row] of rows.entries()) {
        const { loss, ce, kl, grad_norm } = expected[i] as Record<string, number>;
        for (const [name, value] of Object.entries({ loss, cross_entropy: ce, kl_divergence: kl, grad_norm })) {
          const off = Math.abs(row[name]! - value!) / Math.max(Math.abs(value!), FLOOR / 1e-4);
          expect(off, `${name} of step ${row.step}: ${row[name]}, PyTorch's is ${value}`).toBeLessThan(1e-4);
        }
      }
      if (start === "adapter-init") await sameAdapter(workspace.path("run/adapter"), join(FIXTURE, end));
    });
  }
}

/** The fixture's batches one after the other as tokenized lines: two make a batch. */
function fixtureLines() {
  const { batches } = JSON.parse(readFileSync(join(FIXTURE, "tokens.json"), "utf8")) as {
    batches: { tokens: number[][]; weights?: number[][] }[];
  };
  // The fixture weighs targets; a line weighs each token, and the first is no target.
  return batches.flatMap(({ tokens, weights }) =>
    tokens.map((each, i) => ({ tokens: each, ...(weights && { weights: [1, ...weights[i]!] }) })),
  );
}

function readJsonLines(name: string): Readonly<Record<string, unknown>>[] {
  const lines = readFileSync(join(FIXTURE, name), "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The same settings, and the same matrices within what twenty updates make of rounding. */
async function sameAdapter(found: string, expected: string): Promise<void> {
  const [mine, theirs] = [found, expected].map(
    (folder) => JSON.parse(readFileSync(join(folder, "adapter_config.json"), "utf8")) as Record<string, unknown>,
  );
  for (const key of ["peft_type", "task_type", "r", "lora_alpha", "bias", "use_rslora", "use_dora", "fan_in_fan_out"]) {
    expect(mine![key], key).toEqual(theirs![key]);
  }
  expect([...(mine!.target_modules as string[])].sort()).toEqual([...(theirs!.target_modules as string[])].sort());

  const files = await Promise.all(
    [found, expected].map((folder) => openSafetensors(join(folder, "adapter_model.safetensors"))),
  );
  const [ours, peft] = files as [SafetensorsFile, SafetensorsFile];
  expect([...ours.shapes].sort()).toEqual([...peft.shapes].sort());
  let worst = 0;
  for (const name of peft.shapes.keys()) {
    const [a, b] = [(await ours.read(name)).data, (await peft.read(name)).data];
    worst = a.reduce((max, x, i) => Math.max(max, Math.abs(x - b[i]!)), worst);
  }
  expect(worst).toBeLessThan(1e-5);
  await Promise.all(files.map((file) => file.close()));
}
