/** The data that is shipped: the new task in three parts, each skill in two, and stories. */
import { createRandom } from "../../src/common/random.ts";
import { seeds } from "./corpus.ts";
import { skills } from "./skills.ts";
import { story } from "./stories.ts";
import { task } from "./task.ts";

const STORIES = 100;

const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

function stories(): { text: string }[] {
  const random = createRandom(seeds.stories);
  return Array.from({ length: STORIES }, () => ({ text: story(random) }));
}

/** File name → content. */
export function dataFiles(): Map<string, string> {
  return new Map([
    ["task/train.jsonl", lines(task.train)],
    ["task/dev.jsonl", lines(task.dev)],
    ["task/test.jsonl", lines(task.test)],
    ...skills.flatMap(({ name, dev, test }): [string, string][] => [
      [`skills/${name}.dev.jsonl`, lines(dev)],
      [`skills/${name}.test.jsonl`, lines(test)],
    ]),
    ["stories.jsonl", lines(stories())],
  ]);
}
