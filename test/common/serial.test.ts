import { expect, it } from "vitest";
import { serialize } from "../../src/common/serial.ts";

it("work runs one piece at a time in the order it was asked for, whatever fails", async () => {
  const lock = serialize();
  const log: string[] = [];
  const work = (name: string, milliseconds: number) => async () => {
    log.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    log.push(`${name} ends`);
    if (name === "b") throw new Error("b failed");
    return name;
  };
  const results = await Promise.allSettled([lock(work("a", 5)), lock(work("b", 1)), lock(work("c", 0))]);
  expect(log).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  expect(results).toMatchObject([{ value: "a" }, { reason: { message: "b failed" } }, { value: "c" }]);
});
