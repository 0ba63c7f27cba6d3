import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  type ChatFacts,
  type Conversation,
  chatRenderer,
  type Message,
  splitChat,
} from "../../../src/data/chat/index.ts";

const FIXTURES = new URL("../../fixtures/templates/templates.json", import.meta.url);
const { templates } = JSON.parse(readFileSync(FIXTURES, "utf8")) as { templates: Record<string, string> };

const rendererOf = (chatTemplate: string) =>
  chatRenderer({ chatTemplate, specialTokens: { bos_token: "<s>", eos_token: "</s>" }, folder: "folder" });

/** The rendering with what is learned between ⟦ and ⟧, after its weight where that is not 1. */
function split(template: string, conversation: Conversation | readonly Message[]): string {
  const whole = "messages" in conversation ? conversation : { messages: conversation };
  return splitChat(whole, rendererOf(template))
    .map(({ text, weight }) => (weight > 0 ? `${weight === 1 ? "" : weight}⟦${text}⟧` : text))
    .join("");
}

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string, more: Partial<Message> = {}): Message => ({ role: "assistant", content, ...more });

/** A turn a message, and a prompt that begins the assistant's. */
const TURNS =
  "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
const withPrompt = (prompt: string) =>
  TURNS.replace("{% if add_generation_prompt %}[assistant]", `{% if add_generation_prompt %}${prompt}`);
const QUESTION = [user("hi"), assistant("yes")];
const TWO = [...QUESTION, user("so?"), assistant("no")];

describe("an assistant's turn is learned after the prompt that begins it, with what ends it", () => {
  test("in one turn and in several; turns after the last are left out", () => {
    expect(split(TURNS, QUESTION)).toBe("[user]hi</s>\n[assistant]⟦yes</s>\n⟧");
    expect(split(TURNS, [...TWO, user("and?")])).toBe(
      "[user]hi</s>\n[assistant]⟦yes</s>\n⟧[user]so?</s>\n[assistant]⟦no</s>\n⟧",
    );
  });

  test("without a prompt, all that is written for the turn", () => {
    const inst =
      "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}";
    expect(split(inst, TWO)).toBe("[INST] hi [/INST]⟦ yes</s>⟧[INST] so? [/INST]⟦ no</s>⟧");
  });

  test("with what the template writes after the last turn", () => {
    const ended =
      "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% else %}{{ eos_token }}{% endif %}";
    expect(split(ended, QUESTION)).toBe("[user]hi[assistant]⟦yes</s>⟧");
  });

  test("with what it writes between turns only left to the next one's prompt", () => {
    const between =
      "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% if not loop.last or add_generation_prompt %}\n{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    expect(split(between.replaceAll("\n", "{{ '\\n' }}"), TWO)).toBe(
      "[user]hi</s>\n[assistant]⟦yes</s>⟧\n[user]so?</s>\n[assistant]⟦no</s>⟧",
    );
  });

  test("in a template that refuses to be asked before a first turn, or after a system's", () => {
    const strict = `{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}${TURNS}`;
    expect(split(strict, QUESTION)).toBe("[user]hi</s>\n[assistant]⟦yes</s>\n⟧");
    expect(split(TURNS, [assistant("hello"), user("hi"), assistant("yes")])).toBe(
      "[assistant]⟦hello</s>\n⟧[user]hi</s>\n[assistant]⟦yes</s>\n⟧",
    );
  });

  test.each([
    [
      "a loop over numbers",
      "{% for i in range(messages|length) %}{% set m = messages[i] %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
    ],
    [
      "a loop within a block",
      "{% set all %}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% endset %}{{ all }}{% if add_generation_prompt %}[assistant]{% endif %}",
    ],
    [
      "a loop after one that looks",
      "{% for m in messages %}{% set x = m.content %}{% endfor %}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
    ],
    [
      "turns written by a macro",
      "{% macro turn(m) %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endmacro %}{% for m in messages %}{{ turn(m) }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
    ],
  ])("told from %s", (_, template) => {
    expect(split(template, TWO)).toBe("[user]hi</s>[assistant]⟦yes</s>⟧[user]so?</s>[assistant]⟦no</s>⟧");
  });

  test("a template that does not write it is refused", () => {
    expect(() => split("{{ bos_token }}", QUESTION)).toThrow("writes nothing for messages[1]");
    const roles = "{% for m in messages %}[{{ m.role }}]{% endfor %}";
    expect(() => split(roles, TWO)).toThrow("the chat template writes nothing of messages[1].content");
    const parts = "{% for m in messages %}[{{ m.role }}]{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}";
    expect(() => split(parts, QUESTION)).toThrow('give it as a list of parts, [{"type": "text", "text": "…"}]');
    const noCalls = "{% for m in messages %}[{{ m.role }}]{{ m.content or '' }}{{ eos_token }}{% endfor %}";
    const call = { role: "assistant", content: null, tool_calls: [{ function: { name: "add", arguments: {} } }] };
    expect(() => split(noCalls, [user("hi"), call])).toThrow("writes nothing of messages[1].tool_calls");
  });

  test("a message that is there twice is told by its place", () => {
    const [question, answer] = QUESTION as [Message, Message];
    expect(split(TURNS, [question, answer, question, answer])).toBe(
      "[user]hi</s>\n[assistant]⟦yes</s>\n⟧[user]hi</s>\n[assistant]⟦yes</s>\n⟧",
    );
  });
});

describe("a prompt that the turn does not begin with is followed as far as both go", () => {
  test("a thought that the prompt opens and the turn has not", () => {
    expect(split(withPrompt("[assistant]<think>\\n".replace("\\n", "\n")), QUESTION)).toBe(
      "[user]hi</s>\n[assistant]⟦yes</s>\n⟧",
    );
    expect(split(withPrompt("[assistant]<think>"), [user("hi"), assistant("<b>yes")])).toBe(
      "[user]hi</s>\n[assistant]⟦<b>yes</s>\n⟧",
    );
  });

  test("a thought that the turn has is learned after its opening", () => {
    const thinking = [user("hi"), assistant("<think>hm</think>yes")];
    expect(split(withPrompt("[assistant]<think>"), thinking)).toBe(
      "[user]hi</s>\n[assistant]<think>⟦hm</think>yes</s>\n⟧",
    );
  });

  test("a call instead of content is not cut within its mark", () => {
    const calls =
      "{% for m in messages %}[{{ m.role }}]{% if m.tool_calls %}<tool>{{ m.tool_calls|tojson }}{% endif %}{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}[assistant]<think>{% endif %}";
    expect(split(calls, [user("hi"), assistant("", { tool_calls: [{ name: "f" }] })])).toBe(
      '[user]hi</s>[assistant]⟦<tool>[{"name": "f"}]</s>⟧',
    );
  });

  test("no character is cut in two", () => {
    expect(split(withPrompt("[assistant]😀"), [user("hi"), assistant("😁")])).toBe(
      "[user]hi</s>\n[assistant]⟦😁</s>\n⟧",
    );
  });
});

describe("turns that are written differently once later ones are there", () => {
  const thought = (said: string) => `<think>\nhm\n</think>\n\n${said}`;
  const strip = templates["thought-of-last-question"]!;

  test("are given as they are written then, and the last is learned", () => {
    const turns = [user("hi"), assistant(thought("yes")), user("so?"), assistant(thought("no"))];
    expect(split(strip, turns)).toBe(
      `[user]hi</s>\n[assistant]yes</s>\n[user]so?</s>\n⟦[assistant]${thought("no")}</s>\n⟧`,
    );
  });

  test("all turns since the last question keep their reasoning, and are learned", () => {
    const tool: Message = { role: "tool", content: "2" };
    const turns = [
      user("hi"),
      assistant(thought("old")),
      user("so?"),
      assistant(thought("call")),
      tool,
      assistant(thought("done")),
    ];
    expect(split(`${strip}{% if add_generation_prompt %}[assistant]{% endif %}`, turns)).toBe(
      `[user]hi</s>\n[assistant]old</s>\n[user]so?</s>\n[assistant]⟦${thought("call")}</s>\n⟧[tool]2</s>\n[assistant]⟦${thought("done")}</s>\n⟧`,
    );
  });

  test("the last is learned after its prompt, also where its answer changes how the turns before are written", () => {
    const rewriting =
      "{% for m in messages %}[{{ m.role }}]{{ m.content|upper if messages[-1].role == 'assistant' else m.content }}{{ '.' if loop.last }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    expect(split(rewriting, QUESTION)).toBe("[user]HI[assistant]⟦YES.⟧");
  });

  test("are refused, by what is so, when no other is learned", () => {
    const turns = [user("hi"), assistant(thought("yes")), user("so?"), assistant(thought("no"), { weight: 0 })];
    expect(() => split(strip, turns)).toThrow(
      "the chat template writes messages[1] differently once later ones are there, as templates do that leave earlier reasoning out",
    );
  });
});

describe("weights of messages", () => {
  test("0 is given, other numbers count", () => {
    const [question, answer, again, last] = TWO as [Message, Message, Message, Message];
    expect(split(TURNS, [question, { ...answer, weight: 0 }, again, { ...last, weight: 1 }])).toBe(
      "[user]hi</s>\n[assistant]yes</s>\n[user]so?</s>\n[assistant]⟦no</s>\n⟧",
    );
    expect(split(TURNS, [question, { ...answer, weight: 0.5 }, again, { ...last, weight: 0 }])).toBe(
      "[user]hi</s>\n[assistant]0.5⟦yes</s>\n⟧[user]so?</s>\n[assistant]no</s>\n",
    );
  });

  test("0 everywhere leaves nothing to learn", () => {
    expect(() => split(TURNS, [user("hi"), assistant("yes", { weight: 0 })])).toThrow(
      "every message of the assistant has weight 0: there is nothing to learn here",
    );
    expect(() => split(TURNS, [user("hi")])).toThrow("no message has the role `assistant`");
  });
});

describe("keys of the line beside the messages", () => {
  const template = `{% for i in range(1) %}{% endfor %}{{ mood }}${TURNS}`;

  test("that the template reads are refused, since it is not given them", () => {
    expect(() => split(template, { messages: QUESTION, otherKeys: ["id", "mood"] })).toThrow(
      "the chat template reads `mood`, which stands beside the messages and would be ignored: move it into `chat_template_kwargs`",
    );
  });

  test("that it does not read, or that are names of its own, do not matter", () => {
    const given = { messages: QUESTION, otherKeys: ["id", "i", "m", "range"], template_kwargs: { mood: "!" } };
    expect(split(template, given)).toBe("![user]hi</s>\n[assistant]⟦yes</s>\n⟧");
  });
});

describe("what the template marks with {% generation %} is learned, and no more", () => {
  const marked =
    "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{{ eos_token }}{% endfor %}";

  test("with the weight of its turn", () => {
    expect(split(marked, TWO)).toBe("[user]hi</s>[assistant]⟦yes⟧</s>[user]so?</s>[assistant]⟦no⟧</s>");
    const [question, answer, ...rest] = TWO as [Message, Message, Message, Message];
    expect(split(marked, [question, { ...answer, weight: 0 }, ...rest])).toBe(
      "[user]hi</s>[assistant]yes</s>[user]so?</s>[assistant]⟦no⟧</s>",
    );
  });

  test("nothing marked is nothing to learn", () => {
    const never = marked.replace("m.role == 'assistant'", "m.role == 'model'");
    expect(() => split(never, QUESTION)).toThrow("marks nothing of this conversation with {% generation %}");
  });
});

describe("contents that are lists of parts", () => {
  const parts = [user(""), assistant("")].map(({ role }, i) => ({
    role,
    content: [
      { type: "text", text: i === 0 ? "what " : "it" },
      { type: "text", text: "is" },
    ],
  }));

  test("are text for a template that takes text, prints lists, or takes no parts", () => {
    const expected = "[user]what is</s>\n[assistant]⟦itis</s>\n⟧";
    expect(split(TURNS, parts)).toBe(expected);
    expect(
      split(
        "{% for m in messages %}{{ '[' + m.role + ']' + m.content + eos_token + '\\n' }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
        parts,
      ),
    ).toBe(expected);
  });

  test("are left to a template that takes them", () => {
    expect(split(templates["content-parts"]!, parts)).toBe("[user]what is</s>⟦[assistant]itis</s>⟧");
  });

  test("are refused where a template that takes text is given something else", () => {
    const image = { role: "user", content: [{ type: "image", url: "x" }] };
    expect(() => split(TURNS, [image, assistant("yes")])).toThrow(
      "messages[0].content[0] is not text, and the chat template takes text alone",
    );
  });
});

describe("what is not shown or learned is told", () => {
  function factsOf(template: string, conversation: Conversation): Partial<ChatFacts> {
    let facts: Partial<ChatFacts> = {};
    splitChat(conversation, rendererOf(template), ({ messages: _, ...told }) => {
      facts = told;
    });
    return facts;
  }
  const NOTHING = { passing: [], unwritten: [], unread: [] };

  test("turns that are written differently once later ones are there", () => {
    const thinking = [user("hi"), assistant("<think>hm</think>yes"), user("so?"), assistant("<think>ah</think>no")];
    const template = templates["thought-of-last-question"]!;
    expect(factsOf(template, { messages: thinking })).toEqual({ ...NOTHING, passing: [1] });
    expect(factsOf(template, { messages: thinking.slice(0, 2) })).toEqual(NOTHING);
    expect(factsOf(TURNS, { messages: TWO })).toEqual(NOTHING);
  });

  test("messages that the template writes nothing of", () => {
    const twoRoles =
      "{% for m in messages %}{% if m.role in ['user', 'assistant'] %}[{{ m.role }}]{{ m.content|trim|upper }}{% endif %}{% endfor %}";
    const messages = [{ role: "developer", content: "be brief" }, ...QUESTION];
    expect(factsOf(twoRoles, { messages })).toEqual({ ...NOTHING, unwritten: [{ turn: 0, key: "content" }] });
    expect(factsOf(twoRoles, { messages: QUESTION })).toEqual(NOTHING);
  });

  test("what is given to the template, and it does not read", () => {
    const given = { tools: [{ type: "function" }], documents: [], template_kwargs: { enable_thinkin: false } };
    expect(factsOf(TURNS, { messages: QUESTION, ...given })).toEqual({
      ...NOTHING,
      unread: ["tools", "enable_thinkin"],
    });
    const reading = `{{ tools|length }}{% if enable_thinkin %}{% endif %}${TURNS}`;
    expect(factsOf(reading, { messages: QUESTION, ...given })).toEqual(NOTHING);
  });
});

describe("a conversation of 2,000 messages takes about as long as a few renderings", () => {
  const long = Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? user(`question ${i}`) : assistant(`answer ${i}`)));
  const thinking = long.map((message) =>
    message.role === "user" ? message : { ...message, content: `<think>hm</think>${String(message.content)}` },
  );

  test.each([
    ["that writes turns one after the other", TURNS, long, 1000],
    [
      "that numbers messages and looks at the last",
      TURNS.replace("{{ eos_token }}", "{{ eos_token }}{% if loop.last %}.{% endif %}"),
      long,
      1000,
    ],
    ["that strips reasoning", templates["thought-of-last-question"]!, thinking, 1],
  ])("for a template %s", (_, template, messages, answers) => {
    const began = performance.now();
    const segments = splitChat({ messages }, rendererOf(template));
    expect(segments.filter(({ weight }) => weight > 0).length).toBe(answers);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
