import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadDataset } from "../../../src/data/dataset.ts";
import { checkTokenizer, loadTokenizer } from "../../../src/data/tokenizer.ts";
import { readModelConfig } from "../../../src/engine/local/files/model-config.ts";
import { idsWithoutToken } from "../../../src/engine/local/files/tokenizer-ids.ts";
import type { FuzzKind } from "../kind.ts";
import { mutateJson, mutateText } from "../mutate.ts";
import type { Choices } from "../random.ts";
import { readJson, TINY } from "./sound.ts";

const FIXTURES = fileURLToPath(new URL("../../fixtures/", import.meta.url));
const TEXT = "Hello, wörld!  <|eos|> 😀 a\ufeffb \n\n 123";

/** The configurations of all families. */
export const modelConfig: FuzzKind = {
  name: "model config",
  share: 10,
  open: async (folder) => {
    const families = [
      "gemma3",
      "llama",
      "llama-rope-yarn",
      "llama-rope-llama3",
      "mistral-window",
      "qwen2-window",
      "qwen3",
      "smollm3",
    ];
    const configs = families.map((name) => readJson(join(FIXTURES, "families", name), "config.json"));
    return async (choices) => {
      writeFileSync(join(folder, "config.json"), mutateJson(choices.of(configs), choices));
      await readModelConfig(folder);
    };
  },
};

const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json"];

/** The files that a tokenizer is read from, one or two of them changed. */
export const tokenizer: FuzzKind = {
  name: "tokenizer",
  share: 12,
  open: async (folder) => {
    const kinds = ["byte-level", "gemma", "llama-2", "metaspace", "qwen", "unigram"];
    const folders = [TINY, ...kinds.map((name) => join(FIXTURES, "tokenizers", name))];
    const sound = folders.map((from) => new Map(TOKENIZER_FILES.map((name) => [name, orEmpty(from, name)])));
    return (choices) => {
      const files = choices.of(sound);
      const changed = new Set([choices.of(TOKENIZER_FILES), choices.of(TOKENIZER_FILES)]);
      for (const [name, tree] of files) {
        writeFileSync(join(folder, name), changed.has(name) ? mutateJson(tree, choices) : JSON.stringify(tree));
      }
      const read = loadTokenizer(folder);
      read.decode(read.encode(TEXT, { specialTokens: true }), { specialTokens: true });
      read.encodeSpans(choices.of(["", "a", TEXT]));
      checkTokenizer(read, 1 << 20);
      idsWithoutToken(folder, 1024);
    };
  },
};

function orEmpty(folder: string, name: string): unknown {
  try {
    return readJson(folder, name);
  } catch {
    return {};
  }
}

const SNIPPETS = [
  ...[
    "{{ bos_token }}",
    "{% for m in messages %}",
    "{% endfor %}",
    "{{ m.content }}",
    "{{ m['role'] }}",
    "{% if loop.last %}",
  ],
  ...["{% endif %}", "{% else %}", "{% set ns = namespace(x=[1]) %}", "{% set ns.x = [ns.x, ns.x] %}", "{{ ns.x }}"],
  ...["{% for i in range(100000) %}", "{% set x = x ~ x %}", "{{ 'a' * 1000000000 }}", "{{ [0] * 1000000000 }}"],
  ...["{{ 'a'.ljust(10 ** 9) }}", "{{ '%1000000000d' % 3 }}", "{{ '{:1000000000}'.format(3) }}", "{{ 3 ** 3 ** 30 }}"],
  ...[
    "{{ messages | tojson(indent=1000000000) }}",
    "{{ messages | batch(1000000000, 0) | list }}",
    "{{ 'a' | center(10 ** 9) }}",
  ],
  ...[
    "{% macro f(x) %}{{ f(x) }}{% endmacro %}",
    "{{ f(1) }}",
    "{% generation %}",
    "{% endgeneration %}",
    "{% break %}",
  ],
  ...[
    "{{ messages | map(attribute='content') | join(', ') }}",
    "{{ 10 ** 5000 }}",
    "{{ (10 ** 9) | round(-1000000000) }}",
  ],
  ...[
    "{{ 1.5 | round(200) }}",
    "{{ '%.0g' % 1.5 }}",
    "{{ '%.500f' % 1.5 }}",
    "{{ m.content[::-1] }}",
    "{{ m.content.split('') }}",
  ],
  ...[
    "{{ raise_exception('no') }}",
    "{{ 'x' | int(base=1) }}",
    "{{ messages | slice(0) | list }}",
    "{{ range(10, 0, -3) | sum }}",
  ],
  ...[
    "{{ dict(a=1).items() | list }}",
    "{{ cycler(1).next() }}",
    "{{ strftime_now('%Y %') }}",
    "{{ 'é'.title().zfill(9) }}",
  ],
  ...[
    "{{ 1 // 0 }}",
    "{{ 1 / 0 }}",
    "{{ 'a'.replace('', 'b') }}",
    "{{ 'a' | indent(10 ** 9) }}",
    "{{ x }}",
    "{% set x = 'ab' %}",
  ],
];

/** Chat templates: real ones with their text changed, and rows of statements that do too much. */
export const template: FuzzKind = {
  name: "template",
  share: 10,
  open: async (folder) => {
    cpSync(TINY, folder, { recursive: true });
    const { templates } = readJson(join(FIXTURES, "templates"), "templates.json") as {
      templates: Record<string, string>;
    };
    const real = Object.values(templates);
    const chat = join(folder, "chat.jsonl");
    const messages = [
      { role: "user", content: "hi  there" },
      { role: "assistant", content: "hö\n" },
    ];
    writeFileSync(chat, `${JSON.stringify({ messages })}\n`);
    return async (choices) => {
      const written = choices.chance(0.6)
        ? mutateText(choices.of(real), choices)
        : Array.from({ length: 1 + choices.below(8) }, () => choices.of(SNIPPETS)).join("");
      await loadDataset(chat, loadTokenizer(folder, { chatTemplate: closed(written, choices) }));
    };
  },
};

/** With the ends that its beginnings lack, most of the time. */
function closed(template: string, choices: Choices): string {
  if (choices.chance(0.3)) return template;
  const open: string[] = [];
  for (const [, name] of template.matchAll(/\{%-? *(for|if|macro|generation|endfor|endif|endmacro|endgeneration)\b/g)) {
    if (name!.startsWith("end")) open.pop();
    else open.push(name!);
  }
  return (
    template +
    open
      .reverse()
      .map((name) => `{% end${name} %}`)
      .join("")
  );
}
