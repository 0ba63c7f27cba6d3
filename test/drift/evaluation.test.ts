import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadQuestions, type Question } from "../../src/data/questions.ts";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { measureDrift } from "../../src/drift/drift.ts";
import { drawDriftSamples, type EvaluationPlan, evaluate } from "../../src/drift/evaluation.ts";
import { exactMatch } from "../../src/drift/exact-match.ts";
import { LocalModel } from "../../src/engine/local/local-model.ts";

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const tokenizer = loadTokenizer(path("models/small-world/"));

let model: LocalModel;
let plan: EvaluationPlan;
let rows: Record<"task" | "capitals" | "opposites", Question[]>;

beforeAll(async () => {
  model = await LocalModel.open(path("models/small-world/"), { threads: 1 });
  const some = async (name: string) => (await loadQuestions(path(`data/small-world/${name}`), tokenizer)).slice(0, 12);
  rows = {
    task: await some("task/dev.jsonl"),
    capitals: await some("skills/capitals.dev.jsonl"),
    opposites: await some("skills/opposites.dev.jsonl"),
  };
  plan = {
    tokenizer,
    task: rows.task,
    skills: new Map([
      ["capitals", rows.capitals],
      ["opposites", rows.opposites],
    ]),
    maxTokens: 24,
    validation: null,
    baseSamples: [],
    completions: 7,
  };
});
afterAll(() => model.close());

describe("an evaluation", () => {
  test("scores each set as it stands alone, and measures nothing that was not asked for", async () => {
    const base = await model.sampler();
    const found = await evaluate(base, base, plan);
    for (const [name, score] of Object.entries({ task: found.task, ...found.skills })) {
      expect(score, name).toEqual((await exactMatch(base, rows[name as keyof typeof rows], tokenizer, 24)).score);
    }
    // The base knows its world, and not the new task.
    expect(found.task!.strict).toBe(0);
    expect(found.skills.capitals!.strict).toBeGreaterThan(0.8);
    expect([found.drift, found.validation]).toEqual([null, null]);
  });

  test("of nothing is nothing", async () => {
    const base = await model.sampler();
    expect(await evaluate(base, base, { ...plan, task: null, skills: new Map() })).toEqual({
      task: null,
      skills: {},
      drift: null,
      validation: null,
      samples: [],
    });
  });

  test("measures drift on the base's own text, and validation data beside it", async () => {
    const base = await model.sampler();
    const baseSamples = await drawDriftSamples(base, tokenizer, 6, 20);
    expect(baseSamples).toHaveLength(6);
    expect(await drawDriftSamples(base, tokenizer, 0, 20)).toEqual([]);
    const client = await model.trainingClient({ rank: 2 });
    for (const [name, { data }] of client.parameters) if (name.includes("lora_B")) data.fill(0.3);
    const tuned = client.sampler("current");
    const validation = baseSamples.slice(0, 2);
    const bare = { ...plan, task: null, skills: new Map() };
    const found = await evaluate(tuned, base, { ...bare, baseSamples, validation });
    expect(found.drift).toBe((await measureDrift(tuned, base, baseSamples, "reverse")).drift);
    expect(found.drift!).toBeGreaterThan(0.001);
    expect(found.validation).toEqual(await measureDrift(tuned, base, validation, "reverse"));
    expect((await evaluate(base, base, { ...bare, baseSamples })).drift).toBe(0);
    await client.close();
  });
});

describe("shown answers", () => {
  async function shown(changes: Partial<EvaluationPlan>) {
    const base = await model.sampler();
    return (await evaluate(base, base, { ...plan, ...changes })).samples;
  }
  const sets = (samples: readonly { set: string }[]) => samples.map(({ set }) => set).join(" ");

  test("are the first of each set: half the task's, the others in turn the skills'", async () => {
    const samples = await shown({});
    expect(sets(samples)).toBe("task task task task capitals capitals opposites");
    const base = await model.sampler();
    for (const name of ["task", "capitals", "opposites"] as const) {
      const { answers } = await exactMatch(base, rows[name], tokenizer, 24);
      for (const [i, sample] of samples.filter(({ set }) => set === name).entries()) {
        expect(sample).toEqual({
          set: name,
          prompt: tokenizer.decode(rows[name][i]!.prompt),
          expected: rows[name][i]!.completion,
          ...answers[i],
        });
      }
    }
    // Some are right and some are not, and it shows.
    expect(new Set(samples.map(({ right }) => right)).size).toBe(2);
  });

  test("are as many as asked for, where there are so many", async () => {
    expect(sets(await shown({ completions: 0 }))).toBe("");
    expect(sets(await shown({ completions: 1 }))).toBe("task");
    expect(sets(await shown({ completions: 2 }))).toBe("task capitals");
    expect(sets(await shown({ completions: 3, task: null }))).toBe("capitals capitals opposites");
    expect(sets(await shown({ completions: 3, skills: new Map() }))).toBe("task task task");
    const few = { task: rows.task.slice(0, 1), skills: new Map([["capitals", rows.capitals.slice(0, 2)]]) };
    expect(sets(await shown({ ...few, completions: 50 }))).toBe("task capitals capitals");
  });
});
