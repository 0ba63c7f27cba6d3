import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { chatRenderer, readConversation } from "../../src/data/chat/index.ts";
import { parsePythonJson } from "../../src/data/python-json.ts";
import { openOracle, unlessRefused } from "./oracle.ts";

/** @file Every Jinja2 template that the installed Python packages carry, against transformers. */

interface Rendered {
  readonly text: string;
  /** What the template marks as generated, in code points. */
  readonly marks: readonly (readonly [start: number, end: number])[];
}

const FILES = ["../fixtures/templates/templates.json", "conversations.json"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);
const SPECIAL_TOKENS = { bos_token: "<s>", eos_token: "</s>", pad_token: "<pad>", unk_token: "<unk>" };
const NOW = "2024-02-09T13:05:07";

const CASES = FILES.flatMap((path) => {
  const { conversations } = parsePythonJson(readFileSync(path, "utf8")) as {
    conversations: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  return [false, true].flatMap((generationPrompt) =>
    Object.entries(conversations).map(([name, conversation]) => ({
      name: generationPrompt ? `${name}, prompt` : name,
      conversation: readConversation(conversation),
      generationPrompt,
    })),
  );
});

/** What klamp makes of each case; null where it refuses the template or the conversation. */
function renderedOf(chatTemplate: string): (Rendered | null)[] {
  const source = { chatTemplate, specialTokens: SPECIAL_TOKENS, folder: "folder" };
  const renderer = unlessRefused(() => chatRenderer(source, { now: new Date(NOW) }));
  return CASES.map(({ conversation, generationPrompt }) =>
    unlessRefused(() => {
      if (renderer === null) return null;
      const { text, marks } = renderer.render(conversation, { generationPrompt });
      const points = (units: number) => Array.from(text.slice(0, units)).length;
      return { text, marks: marks.map(({ start, end }) => [points(start), points(end)] as const) };
    }),
  );
}

it("public templates render as transformers does, byte for byte, and mark the same as generated; what it refuses is refused", async () => {
  const oracle = await openOracle();
  const templates = await oracle.ask<Record<string, string>>("public_templates", {});
  let alike = 0;
  let refused = 0;
  let marked = 0;
  let ofChats = 0;
  for (const [name, template] of Object.entries(templates)) {
    const theirs = await oracle.ask<(Rendered | null)[]>("render", {
      template,
      files: FILES,
      special_tokens: SPECIAL_TOKENS,
      now: NOW,
    });
    const ours = renderedOf(template);
    for (const [i, rendered] of theirs.entries()) {
      expect.soft([name, CASES[i]!.name, ours[i]]).toEqual([name, CASES[i]!.name, rendered]);
      if (!isDeepStrictEqual(ours[i], rendered)) continue;
      if (rendered === null) refused++;
      else alike++;
      if (rendered !== null && rendered.marks.length > 0) marked++;
    }
    if (theirs.some((rendered) => rendered !== null)) ofChats++;
  }
  const count = Object.keys(templates).length;
  console.log(`${count} public templates × ${CASES.length} conversations: ${alike} alike, ${refused} refused by both`);
  console.log(
    `${ofChats} of the templates take some conversation; ${marked} of the texts have marks of what is generated`,
  );
  expect(ofChats).toBeGreaterThanOrEqual(50);
  expect(marked).toBeGreaterThan(100);
});
