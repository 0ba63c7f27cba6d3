import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { FIXTURE, jsonLines, klamp, Workspace } from "./workspace.ts";

const MODEL = join(FIXTURE, "model");
const tokenizer = loadTokenizer(MODEL);
const LINES = [
  { prompt: "to be", completion: " or not" },
  { prompt: "to be", completion: " the cat" },
  { prompt: "to be", completion: " or not" },
];

describe("klamp data", () => {
  test("--json prints tokens, weights and stop tokens of each line, and each regularizer's weights", async () => {
    const workspace = new Workspace();
    workspace.write("train.jsonl", jsonLines(LINES));
    const [space] = tokenizer.encode(" ");
    const regularizers = [
      { text: "completions", exclude_tokens: [" "], name: "held" },
      { type: "entropy", text: "completions" },
      { text: { samples: 4 }, name: "anchored" },
    ];
    const { code, out } = await klamp("data", "--config", workspace.config({ regularizers }), "--json");
    expect(code).toBe(0);
    const found = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(found.map(({ line }) => line)).toEqual([1, 2, 3]);
    const prompt = [...tokenizer.encode("to be", { specialTokens: true })];
    const answer = [...tokenizer.encode(" or not"), tokenizer.eos!];
    expect(found[0]).toEqual({
      line: 1,
      tokens: [...prompt, ...answer],
      weights: [...prompt.map(() => 0), ...answer.map(() => 1)],
      stop: tokenizer.stop,
      regularizers: {
        held: [...prompt.map(() => 0), ...answer.map((id) => Number(id !== space))],
        entropy: [...prompt.map(() => 0), ...answer.map(() => 1)],
      },
    });
    const plain = await klamp("data", workspace.path("train.jsonl"), "--model", MODEL, "--json");
    const [first] = plain.out.split("\n");
    const { regularizers: _, ...rest } = found[0];
    expect(JSON.parse(first!)).toEqual(rest);
  });

  test("shows what is learned, lengths, lines that are there twice, and questions that are trained", async () => {
    const workspace = new Workspace();
    workspace.write("train.jsonl", jsonLines(LINES));
    workspace.write("test.jsonl", jsonLines([{ prompt: "to be", completion: " the cat" }]));
    const evaluate = { task: "./test.jsonl", drift_samples: 0 };
    const { code, out } = await klamp("data", "--config", workspace.config({ evaluate }), "--lines", "1");
    expect(code).toBe(0);
    expect(out).toContain("to be[ or not<|eos|>⏎]");
    expect(out).not.toContain("[ the cat");
    expect(out).toContain("lines       3\n");
    expect(out).toContain("duplicates  1, such as train.jsonl:3 of train.jsonl:1\n");
    expect(out).toContain("leaks       1, such as train.jsonl:2, which test.jsonl:1 asks\n");
  });

  test("says which regularizers work on something else", async () => {
    const workspace = new Workspace();
    workspace.write("train.jsonl", jsonLines(LINES));
    const regularizers = [
      { text: { samples: 4 }, name: "anchored" },
      { type: "entropy", text: "completions" },
    ];
    const { out } = await klamp("data", "--config", workspace.config({ regularizers }));
    expect(out).toContain("held        anchored works on 4 samples of the base, not on these lines\n");
    expect(out).toContain("held        entropy works on the completions\n");
  });

  test("a text of several tokens cannot be excluded", async () => {
    const workspace = new Workspace();
    workspace.write("train.jsonl", jsonLines(LINES));
    const regularizers = [{ text: "completions", exclude_tokens: [1, " or not"] }];
    const { code, err } = await klamp("data", "--config", workspace.config({ regularizers }));
    expect(code).toBe(2);
    expect(err).toMatch(
      /the regularizer kl_divergence excludes " or not", which is \d+ tokens here, .*: give texts of one token, or ids, in exclude_tokens/,
    );
  });

  test("what is cut or left out is counted, and what a run refuses is refused", async () => {
    const workspace = new Workspace();
    workspace.write("train.jsonl", jsonLines([...LINES, { prompt: "to be", completion: " or not".repeat(40) }]));
    const data = (too_long: string) => ({ data: { train: "./train.jsonl", max_length: 20, too_long } });
    const dropped = await klamp("data", "--config", workspace.config(data("drop")));
    expect(dropped.out).toMatch(/note {8}1 of 4 lines of \S+ had more than 20 tokens/);
    expect(dropped.out).toContain("lines       3\n");
    const refused = await klamp("data", "--config", workspace.config(data("error")));
    expect([refused.code, refused.out]).toEqual([2, ""]);
    expect(refused.err).toMatch(/train\.jsonl:4: the sequence has \d+ tokens, the limit is 20/);
  });

  test.each<[string[], RegExp]>([
    [[], /^klamp: data needs a configuration, as in `klamp data --config config\.yaml`, or a file and a model/],
    [["/no/such.jsonl", "--model", MODEL], /cannot read \/no\/such\.jsonl: there is no such file/],
    [["x", "--model", MODEL, "--lines", "-1"], /--lines is -1, expected a whole number/],
  ])("%j is refused in one sentence", async (args, expected) => {
    const { code, err } = await klamp("data", ...args);
    expect(code).toBe(2);
    expect(err).toMatch(expected);
  });
});
