import { expect, test } from "vitest";
import { downloadLine } from "../../src/cli/download-line.ts";

function shown(isTTY: boolean, ...at: [seconds: number, megabytes: number, total?: number][]): string {
  let [time, text] = [0, ""];
  const line = downloadLine({ write: (more) => (text += more), isTTY, columns: 80 }, () => 1000 * time);
  for (const [seconds, megabytes, total = 200] of at) {
    time = seconds;
    line.show({ name: "a/b", bytes: 1e6 * megabytes, total: 1e6 * total });
  }
  line.done();
  return text;
}

test("a line that is rewritten: what is there, the speed, the time left", () => {
  const lines = shown(true, [0, 0], [10, 50], [20, 100], [40, 200]).split("\r\u001b[2K");
  expect(lines).toEqual([
    "",
    "a/b  0.0/200.0 MB",
    "a/b  50.0/200.0 MB  5.0 MB/s  0:30 left",
    "a/b  100.0/200.0 MB  5.0 MB/s  0:20 left",
    "a/b  200.0/200.0 MB  5.0 MB/s  0:00 left\n",
  ]);
});

test("without a terminal a line now and then", () => {
  const steps = Array.from({ length: 201 }, (_, i): [number, number] => [i / 100, i]);
  const lines = shown(false, ...steps)
    .trimEnd()
    .split("\n");
  expect(lines).toHaveLength(11);
  expect(lines.at(-1)).toBe("a/b  200.0/200.0 MB  100.0 MB/s  0:00 left");
});

test("what an earlier download left counts as there, and not for the speed", () => {
  expect(shown(true, [0, 150], [10, 160])).toContain("a/b  160.0/200.0 MB  1.0 MB/s  0:40 left");
});

test("each download has its own line", () => {
  expect(shown(false, [0, 1, 1], [1, 0], [11, 100]).trimEnd().split("\n")).toEqual([
    "a/b  1.0/1.0 MB",
    "a/b  0.0/200.0 MB",
    "a/b  100.0/200.0 MB  10.0 MB/s  0:10 left",
  ]);
});
