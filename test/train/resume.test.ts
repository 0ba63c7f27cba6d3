import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { fromText, open, run, STEPS, toText } from "./resume-run.ts";

/** @file A training that goes on from a state is the one that never stopped, to the last bit. */

const SCRIPT = fileURLToPath(new URL("resume-run.ts", import.meta.url));

describe.each([1, 2])("with %d threads", (threads) => {
  test("cut after every step, and in another process", { timeout: 200_000 }, async () => {
    const model = await open(threads);
    const whole = await run(model);
    expect(whole.rows).toHaveLength(STEPS);
    const texts = whole.states.map(toText);
    const cuts = threads === 1 ? texts.slice(0, -1) : texts.filter((_, i) => i % 5 === 2);
    for (const text of cuts) {
      const state = fromText(text);
      const rest = await run(model, state);
      expect(rest.rows).toEqual(whole.rows.slice(state.step));
      expect(toText(rest.states.at(-1)!)).toBe(texts.at(-1));
    }
    await model.close();

    const folder = mkdtempSync(join(tmpdir(), "klamp-resume-"));
    const [from, to] = [join(folder, "state.json"), join(folder, "rest.json")];
    writeFileSync(from, texts[9]!);
    execFileSync(process.execPath, ["--import", "tsx", SCRIPT, String(threads), from, to]);
    const { rows, last } = JSON.parse(readFileSync(to, "utf8"));
    expect(rows).toEqual(whole.rows.slice(10));
    expect(last).toBe(texts.at(-1));
  });
});
