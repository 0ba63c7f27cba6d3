import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { KeyTable } from "../../../src/reference/store/key-table.ts";

const key = (text: string) => createHash("sha256").update(text).digest().subarray(0, 16);

test.each([0, 1, 2, 3, 1000, 4096])("all of %d keys are found, and hardly any other", (count) => {
  const table = new KeyTable(count);
  for (let i = 0; i < count; i++) table.add(key(`in ${i}`), i);
  for (let i = 0; i < count; i++) expect([...table.candidates(key(`in ${i}`))]).toContain(i);
  for (let i = 0; i < 1000; i++) expect([...table.candidates(key(`out ${i}`))]).toEqual([]);
});

test("entries of one key come in the order in which they were added", () => {
  const table = new KeyTable(3);
  for (const entry of [4, 2, 7]) table.add(key("same"), entry);
  expect([...table.candidates(key("same"))]).toEqual([4, 2, 7]);
});
