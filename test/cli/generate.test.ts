import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { FIXTURE, klamp, Workspace } from "./workspace.ts";

const SMALL_WORLD = fileURLToPath(new URL("../../models/small-world", import.meta.url));
const generate = (...args: string[]) => klamp("generate", ...args);
const question = "Q: What is the capital of Norway?\nA:";

describe("klamp generate", () => {
  test("continues a text, greedily the same at each time, and stops where the model ends", async () => {
    const asked = ["--model", SMALL_WORLD, "--raw", "--prompt", question, "--temperature", "0"];
    const { code, out } = await generate(...asked);
    expect([code, out]).toEqual([0, " Oslo\n"]);
    const [answer] = (await generate(...asked, "--json")).out.trim().split("\n");
    expect(JSON.parse(answer!)).toEqual({
      prompt: question,
      model: "base",
      text: " Oslo",
      tokens: expect.any(Number),
      stop_reason: "stop",
    });
    const cut = JSON.parse((await generate(...asked, "--json", "--stop", "sl")).out);
    expect(cut).toMatchObject({ text: " O", stop_reason: "stop" });
    expect(JSON.parse((await generate(...asked, "--json", "--max-tokens", "1")).out)).toMatchObject({
      tokens: 1,
      stop_reason: "length",
    });
  });

  test("asks a chat model in its template, with a system turn if one is given", async () => {
    const file = new Workspace().write(
      "prompts.jsonl",
      [
        "What is the capital of Norway?",
        '{"prompt": "What is the capital of Norway?"}',
        '{"messages": [{"role": "user", "content": "What is the capital of Norway?"}, {"role": "assistant", "content": "?"}]}',
      ].join("\n"),
    );
    const { code, out } = await generate("--model", SMALL_WORLD, "--file", file, "--temperature", "0");
    expect(code).toBe(0);
    expect(out).toBe("1 base     Oslo\n2 base     Oslo\n3 base     Oslo\n");
  });

  test("the base beside what was trained", async () => {
    const trained = ["--adapter", join(FIXTURE, "adapter-init"), "--model", join(FIXTURE, "model")];
    const ask = ["--prompt", "A river", "--raw", "--max-tokens", "8", "--temperature", "0", "--json"];
    const lines = (await generate(...trained, "--both", ...ask)).out.trim().split("\n");
    const [base, adapter] = lines.map((line) => JSON.parse(line) as { model: string; text: string });
    expect([base!.model, adapter!.model]).toEqual(["base", "adapter"]);
    expect(base!.text).not.toBe(adapter!.text);
    expect(JSON.parse((await generate(...trained, ...ask)).out)).toMatchObject({
      model: "adapter",
      text: adapter!.text,
    });
  });

  test.each<[string[], RegExp]>([
    [["--prompt", "a"], /^klamp: give a model with --model, or a run or an adapter with --adapter\.\n$/],
    [["--model", SMALL_WORLD, "--both", "--prompt", "a"], /--both compares with what was trained/],
    [["--model", SMALL_WORLD, "--prompt", "a", "--file", "b"], /give --prompt or --file, not both/],
    [
      ["--model", SMALL_WORLD, "--file", "/no/such"],
      /cannot read \/no\/such: there is no such file; give a file of prompts/,
    ],
    [["--model", SMALL_WORLD, "--prompt", "a", "--temperature", "-1"], /temperature is -1, expected a finite number/],
    [["--model", SMALL_WORLD, "--prompt", "a", "--top-p", "2"], /top_p is 2, expected a number above 0/],
    [["--model", SMALL_WORLD, "--prompt", "a", "--max-tokens", "9999"], /max_tokens is 9999, the model reads at most/],
    [["--model", SMALL_WORLD, "--prompt", "a", "--seed", "x"], /expected a number/],
  ])("%j is refused in one sentence", async (args, expected) => {
    const { code, err } = await generate(...args);
    expect(code).toBe(2);
    expect(err).toMatch(expected);
    expect(err).not.toMatch(/\n {4}at /);
  });
});
