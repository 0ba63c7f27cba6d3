import { describe, expect, it } from "vitest";
import { date, measure, percent, visible } from "../../src/report/format.ts";

const plain = (text: string) => text.replaceAll("\u202f", " ");

describe("numbers for people", () => {
  it.each([
    [0, "0 %"],
    [1, "100 %"],
    [0.974, "97 %"],
    [1.05, "105 %"],
    [0.998, "99.8 %"],
    [0.9999, "99.99 %"],
    [0.002, "0.2 %"],
  ])("percent(%d) is %s", (share, text) => expect(plain(percent(share))).toBe(text));

  it.each([
    [0, "0"],
    [0.02134, "0.0213"],
    [4.12e-5, "4.1 × 10⁻⁵"],
    [7912.4, "7,912"],
    [-0.5, "-0.5"],
    [null, "–"],
    [Number.NaN, "–"],
  ])("measure(%d) is %s", (value, text) => expect(plain(measure(value))).toBe(text));

  it("dates are in UTC, and what is no date stays", () => {
    expect(date("2026-01-15T09:41:00.000Z")).toBe("15 January 2026, 09:41 UTC");
    expect(date("yesterday")).toBe("yesterday");
  });

  it("shows line breaks and control characters", () => expect(visible("a\nb\tc\u007f")).toBe("a↵\nb␉c␡"));
});
