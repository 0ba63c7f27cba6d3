import { describe, expect, test } from "vitest";
import type { Evaluation } from "../../src/drift/evaluation.ts";
import { type SummaryInput, summarize } from "../../src/drift/summary.ts";

const score = (strict: number, lenient = strict) => ({ strict, lenient, rows: 100 });

function evaluation(task: number | null, skills: Record<string, number>, more: Partial<Evaluation> = {}): Evaluation {
  return {
    task: task === null ? null : score(task, Math.min(1, task + 0.1)),
    skills: Object.fromEntries(Object.entries(skills).map(([name, strict]) => [name, score(strict)])),
    drift: null,
    validation: null,
    samples: [],
    ...more,
  };
}

function run(name: string, weight: number, of: Evaluation): SummaryInput {
  const free = weight === 0;
  const how = free ? { regularizer: null, text: null, reference: null } : HELD;
  return { name, weight, ...how, evaluation: of };
}

const HELD = { regularizer: "KL(reference‖model)", text: "completions", reference: "base" } as const;

const BASE = evaluation(0, { sums: 0.8, capitals: 1 });

describe("the numbers", () => {
  test("retention is the mean over skills of accuracy relative to the base's", () => {
    const { base, runs } = summarize(BASE, [
      run("a", 0, evaluation(0.9, { sums: 0.4, capitals: 0.1 })),
      run("b", 1, evaluation(0.9, { sums: 1, capitals: 1 })),
    ]);
    expect(base.retention).toBe(1);
    expect(runs[0]!.retention).toBeCloseTo((0.4 / 0.8 + 0.1 / 1) / 2, 12);
    // A skill that became better counts for more than the base's own.
    expect(runs[1]!.retention).toBeCloseTo((1 / 0.8 + 1) / 2, 12);
  });

  test("a skill that the base does not have is shown, and says nothing about forgetting", () => {
    const base = evaluation(0, { sums: 0.5, poems: 0 });
    const { runs } = summarize(base, [run("a", 0, evaluation(1, { sums: 0.5, poems: 0.7 }))]);
    expect(runs[0]).toMatchObject({ retention: 1, skills: { sums: 0.5, poems: 0.7 } });
    const none = summarize(evaluation(0, { poems: 0 }), [run("a", 0, evaluation(1, { poems: 0.7 }))]);
    expect(none.runs[0]!.retention).toBeNull();
    expect(none.base.retention).toBeNull();
  });

  test("rows keep what set a run apart, strict and lenient, and null for what was not measured", () => {
    const validation = { cross_entropy: 1.5, drift: 0.25 };
    const { base, runs } = summarize(BASE, [
      run("with KL", 0.1, evaluation(0.5, { sums: 0.8, capitals: 1 }, { drift: 0.125, validation })),
    ]);
    expect(runs).toEqual([
      {
        name: "with KL",
        weight: 0.1,
        regularizer: "KL(reference‖model)",
        text: "completions",
        reference: "base",
        task: 0.5,
        task_lenient: 0.6,
        retention: 1,
        skills: { sums: 0.8, capitals: 1 },
        skills_lenient: { sums: 0.8, capitals: 1 },
        drift: 0.125,
        validation,
      },
    ]);
    expect(base).toMatchObject({ task: 0, drift: null, validation: null });
    expect(summarize(evaluation(null, {}), []).base).toEqual({
      task: null,
      task_lenient: null,
      retention: null,
      skills: {},
      skills_lenient: {},
      drift: null,
      validation: null,
    });
  });
});

describe("the conclusion", () => {
  const free = run("without KL", 0, evaluation(0.95, { sums: 0.08, capitals: 0.2 }));
  const kl = run("with KL", 0.1, evaluation(0.7, { sums: 0.72, capitals: 0.9 }));
  const anchor = run("with an anchor", 1, evaluation(0.93, { sums: 0.8, capitals: 0.98 }));
  const conclusion = (...runs: SummaryInput[]) => summarize(BASE, runs).conclusion;

  test("questions a run that predicts its training data and answers nothing right", () => {
    const samples = [{ set: "task", prompt: "hi", expected: " yes", text: " yes!", right: false }];
    const learned = run("trained", 0, evaluation(0, { sums: 0.8, capitals: 1 }, { samples }));
    expect(conclusion({ ...learned, cross_entropy: 0.0004 })).toMatch(
      / Trained, the model predicts its training data \(cross-entropy 0\.000\) and yet scores 0 % on the new task: it says " yes!" where " yes" is expected, so look at where its answers end and at whether it is asked as it was trained \(klamp data shows both\)\.$/,
    );
    const right = run("trained", 0, evaluation(0.9, { sums: 0.8, capitals: 1 }));
    for (const each of [{ ...learned, cross_entropy: 1.2 }, learned, { ...right, cross_entropy: 0 }]) {
      expect(conclusion(each)).not.toContain("predicts its training data");
    }
  });

  test("of three runs: what it costs to go free, and the best balance, whatever their order", () => {
    const expected =
      "Fine-tuning without KL keeps 15 % of the base's skills and scores 95 % on the new task; " +
      "the best balance, with an anchor, keeps 99 % of the base's skills and scores 93 % on the new task.";
    expect(conclusion(free, kl, anchor)).toBe(expected);
    expect(conclusion(anchor, kl, free)).toBe(expected);
  });

  test("a run that learns nothing has not the best balance, though it keeps everything", () => {
    const frozen = run("with far too much KL", 100, evaluation(0, { sums: 0.8, capitals: 1 }));
    expect(conclusion(free, frozen, kl)).toContain("the best balance, with KL, keeps 90 %");
  });

  test("does not praise a regularizer that balances worse than none", () => {
    const gentle = run("without KL", 0, evaluation(0.95, { sums: 0.76, capitals: 0.95 }));
    expect(conclusion(gentle, kl)).toBe(
      "Fine-tuning without KL keeps 95 % of the base's skills and scores 95 % on the new task; " +
        "no regularizer balances better, the nearest, with KL, keeps 90 % of the base's skills and scores 70 % on the new task.",
    );
    // Also when nobody has learned anything.
    const lost = run("without KL", 0, evaluation(0, { sums: 0.8, capitals: 1 }));
    const still = run("with KL", 1, evaluation(0, { sums: 0.8, capitals: 1 }));
    expect(conclusion(lost, still)).toContain("no regularizer balances better");
  });

  test("of one run: what was measured of it, and nothing else", () => {
    expect(conclusion(free)).toBe(
      "Without KL, the model scores 95 % on the new task and keeps 15 % of the base's skills.",
    );
    const more = { drift: 0.5, validation: { cross_entropy: 1.2345, drift: 0.25 } };
    const full = run("first", 0.1, evaluation(0.5, { sums: 0.8, capitals: 1 }, more));
    expect(conclusion(full)).toBe(
      "First, the model scores 50 % on the new task, keeps 100 % of the base's skills, " +
        "needs 1.234 nats per token for the validation data, and is 0.500 nats per token from its base.",
    );
  });

  test("of runs of one kind: one sentence each", () => {
    expect(conclusion(kl, anchor)).toBe(
      "With KL, the model scores 70 % on the new task and keeps 90 % of the base's skills. " +
        "With an anchor, the model scores 93 % on the new task and keeps 99 % of the base's skills.",
    );
  });

  test("without evaluation sets: says so, with what there is", () => {
    const bare = evaluation(null, {});
    const advice = "give evaluate.task and evaluate.skills to see what was learned and what was forgotten.";
    const measured = { ...bare, drift: 0.5 };
    expect(summarize(bare, [run("a", 0, bare)]).conclusion).toBe(`Nothing was measured: ${advice}`);
    expect(summarize(bare, [run("a", 0, bare), run("b", 1, bare)]).conclusion).toBe(`Nothing was measured: ${advice}`);
    expect(summarize(bare, [run("a", 0, measured)]).conclusion).toBe(
      `A, the model is 0.500 nats per token from its base; ${advice}`,
    );
    expect(summarize(bare, []).conclusion).toBe("");
  });

  test("with one kind of set alone: no balance is claimed", () => {
    const onlyTask = (name: string, weight: number) => run(name, weight, evaluation(0.5, {}));
    expect(summarize(evaluation(0, {}), [onlyTask("a", 0), onlyTask("b", 1)]).conclusion).toBe(
      "A, the model scores 50 % on the new task. B, the model scores 50 % on the new task.",
    );
    const onlySkills = run("a", 0, evaluation(null, { sums: 0.4 }));
    expect(summarize(evaluation(null, { sums: 0.8 }), [onlySkills]).conclusion).toBe(
      "A, the model keeps 50 % of the base's skills.",
    );
  });
});
