import { homedir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { expandHome } from "../../src/common/home.ts";
import { formatHubName, parseHubName } from "../../src/common/hub-name.ts";

/** @file Names by the rules of huggingface_hub's `validate_repo_id`, and revisions by those of git. */

it.each([
  ["HuggingFaceTB/SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-135M-Instruct", "main"],
  ["a/b", "a/b", "main"],
  ["_a/b_", "_a/b_", "main"],
  ["org/Qwen2.5-0.5B", "org/Qwen2.5-0.5B", "main"],
  ["a/b@v1.0", "a/b", "v1.0"],
  ["a/b@refs/pr/12", "a/b", "refs/pr/12"],
  ["a/b@0123456789abcdef0123456789abcdef01234567", "a/b", "0123456789abcdef0123456789abcdef01234567"],
  ["a/b@feature/x@2", "a/b", "feature/x@2"],
  [`${"o".repeat(96)}/${"n".repeat(96)}`, `${"o".repeat(96)}/${"n".repeat(96)}`, "main"],
])("%s is a hub name", (text, name, revision) => {
  expect(parseHubName(text)).toEqual({ name, revision });
  expect(formatHubName({ name, revision })).toBe(text);
});

it("says main no more than it has to", () => {
  expect(formatHubName(parseHubName("a/b@main")!)).toBe("a/b");
});

it.each([
  "",
  "name",
  "name@v1",
  "./a/b",
  "../b",
  ".a/b",
  "/a/b",
  "/a",
  "~/b",
  "~a/b",
  "a/",
  "a/b/",
  "a/b/c",
  "a/.b",
  "a/b.",
  "a/-b",
  "-a/b",
  "a-/b",
  "a/b--c",
  "a--b/c",
  "a/b..c",
  "a/b.git",
  "a/b c",
  "a\\b",
  "a/b\\c",
  "C:/b",
  "a/bé",
  "a/b\n",
  `a/${"n".repeat(97)}`,
  "a/b@",
  "a/b@ ",
  "a/b@../x",
  "a/b@x/../../y",
  "a/b@/etc",
  "a/b@x/",
  "a/b@x//y",
  "a/b@.x",
  "a/b@-x",
  "a/b@x y",
  "a/b@x:y",
  "a/b@x^",
  "a/b@x\\y",
  "a/b@x@{1}",
])("%j is none", (text) => {
  expect(parseHubName(text)).toBeNull();
});

it.each([
  ["~", homedir()],
  ["~/a/b", join(homedir(), "a/b")],
  ["~a/b", "~a/b"],
  ["a/~", "a/~"],
  ["./~/a", "./~/a"],
  ["", ""],
])("the home folder in %j", (path, expected) => {
  expect(expandHome(path)).toBe(expected);
});
