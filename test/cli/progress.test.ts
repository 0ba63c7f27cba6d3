import { expect, test } from "vitest";
import { createProgress, formatDuration, formatStep } from "../../src/cli/progress.ts";

const row = (step: number) => ({
  step,
  loss: 1.2344,
  cross_entropy: 1.1,
  kl_divergence: 0.134,
  kl_max: 1,
  kl_min: 0,
  grad_norm: 1,
  learning_rate: 2.1e-3,
  tokens_per_second: 8123.4,
});

function record(isTTY: boolean, columns?: number) {
  const written: string[] = [];
  return { written, stream: { write: (text: string) => written.push(text), isTTY, ...(columns && { columns }) } };
}

test("a step is one dense line", () => {
  expect(formatStep(row(120), 300, 21)).toBe(
    "step 120/300  loss 1.234  ce 1.100  kl 0.134  lr 2.1e-3  8,123 tok/s  0:21 left",
  );
});

test("the step is padded, and no KL is shown where none is measured", () => {
  const { kl_divergence: _, ...plain } = row(7);
  expect(formatStep(plain, 300, 21)).toBe("step   7/300  loss 1.234  ce 1.100  lr 2.1e-3  8,123 tok/s  0:21 left");
});

test("what a run without a KL measures is shown in its place", () => {
  const { kl_divergence: _, ...plain } = row(7);
  expect(formatStep({ ...plain, js_divergence: 0.05 }, 300, 21)).toContain("ce 1.100  js 0.050  lr");
  expect(formatStep({ ...plain, "apart/orthogonality": 2, "wide/entropy": 1.5 }, 300, 21)).toContain(
    "  entropy 1.500  lr",
  );
});

test("a weight is shown once it has moved, as what the KL is multiplied by, within eighty columns", () => {
  const { written, stream } = record(true, 80);
  const progress = createProgress(300, stream, () => 0);
  for (const [step, weight] of [
    [118, 0.1],
    [119, 0.1],
    [120, 0.1234],
    [121, 0.1],
  ] as const)
    progress.step({ ...row(step), weight });
  const shown = written.map((text) => /kl (\S+)/.exec(text)![1]);
  expect(shown).toEqual(["0.134", "0.134", "0.134×0.12", "0.134×0.10"]);
  expect(written[2]).toBe("\r\u001b[2Kstep 120/300 loss 1.234 ce 1.100 kl 0.134×0.12 lr 2.1e-3 8,123 tok/s 0:00 left");
});

test("durations", () => {
  expect([0, 9.6, 75, 3723].map(formatDuration)).toEqual(["0:00", "0:10", "1:15", "1:02:03"]);
});

test("on a terminal one line is rewritten, within its width, and ended", () => {
  const { written, stream } = record(true, 40);
  const progress = createProgress(2, stream, () => 0);
  progress.step(row(1));
  progress.step(row(2));
  progress.done();
  progress.done();
  expect(written).toHaveLength(3);
  expect(written[1]).toContain("step 2/2 loss 1.234");
  expect(written[1]!.length).toBe("\r\u001b[2K".length + 39);
  expect(written[2]).toBe("\n");
});

test("what would just miss the width of a terminal is set tighter", () => {
  const { written, stream } = record(true, 79);
  const progress = createProgress(300, stream, () => 0);
  progress.step(row(119));
  progress.step(row(120));
  expect(written[1]).toBe("\r\u001b[2Kstep 120/300 loss 1.234 ce 1.100 kl 0.134 lr 2.1e-3 8,123 tok/s 0:00 left");
});

test("elsewhere a line every tenth of the way when steps are quick", () => {
  const { written, stream } = record(false);
  const progress = createProgress(100, stream, () => 0);
  for (let step = 1; step <= 100; step++) progress.step(row(step));
  progress.done();
  expect(written.map((line) => Number(/step +(\d+)/.exec(line)![1]))).toEqual([
    1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 100,
  ]);
});

test("elsewhere a line every five seconds when steps are slow", () => {
  const { written, stream } = record(false);
  let time = 0;
  const progress = createProgress(1000, stream, () => time);
  for (let step = 1; step <= 20; step++) {
    time += 1000;
    progress.step(row(step));
  }
  expect(written.map((line) => Number(/step +(\d+)/.exec(line)![1]))).toEqual([1, 6, 11, 16]);
});

test("the time left is judged without the slow first step", () => {
  const { written, stream } = record(false);
  let time = 0;
  const progress = createProgress(11, stream, () => time);
  time = 60_000;
  progress.step(row(1));
  time = 61_000;
  for (let step = 2; step <= 3; step++) progress.step(row(step));
  expect(written[0]).not.toContain("left");
  expect(written.at(-1)).toContain("0:04 left");
});

test("a note ends the line that is being rewritten", () => {
  const { written, stream } = record(true);
  const progress = createProgress(2, stream, () => 0);
  progress.note("drawing 800 samples");
  progress.step(row(1));
  progress.note("saved");
  expect(written[0]).toBe("drawing 800 samples\n");
  expect(written.slice(2)).toEqual(["\n", "saved\n"]);
});
