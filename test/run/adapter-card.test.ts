import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { FIXTURE, Workspace } from "../cli/workspace.ts";

/** The YAML at the head of a card, and the text below it. */
function partsOf(card: string): [Record<string, unknown>, string] {
  const [, head, body] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(card)!;
  return [parse(head!) as Record<string, unknown>, body!];
}

describe("an adapter's folder", () => {
  test("has the tokenizer and a card: what it is, from which data and settings, and what was measured", async () => {
    const workspace = new Workspace();
    const evaluate = { task: "./test.jsonl", skills: { odd: "./test.jsonl" }, max_tokens: 4, drift_samples: 4 };
    const regularizers = [{ type: "kl_divergence", text: "completions", weight: 0.5 }];
    expect((await workspace.train({ evaluate, regularizers })).code).toBe(0);
    expect(readdirSync(workspace.path("run", "adapter")).sort()).toEqual([
      "README.md",
      "adapter_config.json",
      "adapter_model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const [head, body] = partsOf(workspace.read("run", "adapter", "README.md"));
    expect(head).toEqual({ library_name: "peft", pipeline_tag: "text-generation", tags: ["lora", "klamp"] });
    for (const line of [
      "# model, fine-tuned",
      "held to its base by a regularizer",
      "| base | model |",
      "| rank, alpha | 8, 16 |",
      "| steps | 2 of 4 lines |",
      "| regularizers | KL(reference‖model) · weight 0.5 · on the completions |",
      "| odd | ",
      "| new task | ",
      "| drift | 0.000 | ",
    ]) {
      expect(body).toContain(line);
    }
    expect(body).toMatch(/\| training data \| train\.jsonl, sha256:[0-9a-f]{16} \|/);
    expect(body).toContain((workspace.json("run", "summary.json") as { conclusion: string }).conclusion);
    expect(body).not.toContain(join(FIXTURE, "model"));
  });

  test("of a run that measures nothing says so", async () => {
    const workspace = new Workspace();
    await workspace.train();
    const [, body] = partsOf(workspace.read("run", "adapter", "README.md"));
    expect(body).toContain("Nothing was measured");
    expect(body).not.toContain("undefined");
    expect(body).not.toMatch(/\| base \| trained \|/);
  });
});
