import { UserError } from "../../common/errors.ts";
import type { Stretch } from "../jinja/run.ts";
import { TemplateSyntaxError, UnsupportedError } from "../jinja/syntax-error.ts";
import { Template } from "../jinja/template.ts";
import { toPython } from "../python/convert.ts";
import { type Dict, PythonError, type Value } from "../python/values.ts";
import type { Conversation, Message } from "./conversation.ts";
import { turnStretches } from "./turns.ts";

/** What a model folder says of chats. */
export interface ChatSource {
  /** For messages. */
  readonly folder: string;
  /** The Jinja source; null where the folder has none. */
  readonly chatTemplate: string | null;
  /** The texts of the special tokens, named as templates name them: `bos_token`, `eos_token`, … */
  readonly specialTokens: Readonly<Record<string, string>>;
}

export interface ChatOptions {
  /** A template in Jinja2, in place of the model folder's. */
  readonly template?: string | undefined;
  /** Variables of the template for every conversation; those of a conversation win. */
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined;
  /** A system prompt for conversations that begin with none. */
  readonly system?: string | undefined;
  /** The time that templates show with `strftime_now`. Default: when the renderer is made, so that a run has one. */
  readonly now?: Date | undefined;
}

/** A conversation as text, and where its parts are. */
export interface RenderedChat {
  readonly text: string;
  /** What the template marks with `{% generation %}`. */
  readonly marks: readonly Stretch[];
  /** Where each message is written, as far as that can be told. */
  readonly turns: readonly (Stretch | undefined)[];
}

export interface RenderOptions {
  /** Ends in what the model is given to begin its answer with. Default false. */
  readonly generationPrompt?: boolean;
}

/** Writes conversations as the model is used to seeing them. */
export interface ChatRenderer {
  /** Names that the template reads of what it is given. */
  readonly variables: ReadonlySet<string>;
  /** Whether the template says itself what is generated. */
  readonly marksGeneration: boolean;
  /** The conversation with the system prompt of the options. */
  complete(conversation: Conversation): Conversation;
  /**
   * The text of transformers' `apply_chat_template`, and where its parts are.
   *
   * @throws UserError when the template refuses the conversation.
   */
  render(conversation: Conversation, options?: RenderOptions): RenderedChat;
}

/** Variables that are the conversation's own. */
const OWN_VARIABLES = ["messages", "tools", "documents", "add_generation_prompt"];

/**
 * The chat template of a model folder, or one's own, ready to render as transformers does.
 *
 * @throws UserError when there is none, it is not Jinja2, or it uses what klamp does not support.
 * @example chatRenderer(tokenizer).render({ messages: [{ role: "user", content: "hi" }] }).text
 */
export function chatRenderer(
  { chatTemplate, specialTokens, folder }: ChatSource,
  { template: ownTemplate, kwargs = {}, system, now = new Date() }: ChatOptions = {},
): ChatRenderer {
  const source = ownTemplate ?? chatTemplate;
  if (source === null) {
    throw new UserError(
      `messages need a chat template, and ${folder} has none: add one to its tokenizer_config.json, or give the data as {"prompt", "completion"}`,
    );
  }
  const template = parseTemplate(
    source,
    ownTemplate === undefined ? `the chat template in ${folder}` : "the chat template",
  );
  checkVariables(kwargs);
  const known = new WeakMap<Message, Dict>();
  const turnOf = (message: Message): Dict => {
    const before = known.get(message);
    if (before !== undefined) return before;
    const dict = toPython(message) as Dict;
    known.set(message, dict);
    return dict;
  };
  const complete = (conversation: Conversation): Conversation => {
    const first = conversation.messages[0]?.role;
    if (system === undefined || first === "system" || first === "developer") return conversation;
    return { ...conversation, messages: [{ role: "system", content: system }, ...conversation.messages] };
  };
  return {
    variables: template.variables,
    marksGeneration: template.marksGeneration,
    complete,
    render({ messages, tools = null, documents = null, template_kwargs = {} }, { generationPrompt = false } = {}) {
      checkVariables(template_kwargs);
      return told(() => {
        const turns = messages.map(turnOf);
        const variables = new Map<string, Value>();
        for (const [name, value] of Object.entries({ ...specialTokens, ...kwargs, ...template_kwargs })) {
          variables.set(name, toPython(value));
        }
        variables.set("messages", turns);
        variables.set("tools", toPython(tools));
        variables.set("documents", toPython(documents));
        variables.set("add_generation_prompt", generationPrompt);
        const { text, marks, passes } = template.render(variables, now);
        return { text, marks, turns: turnStretches(turns, passes) };
      });
    },
  };
}

function parseTemplate(source: string, what: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    if (!(cause instanceof TemplateSyntaxError)) throw cause;
    const why = cause instanceof UnsupportedError ? "uses what klamp does not support" : "cannot be parsed";
    throw new UserError(`${what} ${why}: ${cause.message}`, { cause });
  }
}

function checkVariables(kwargs: Readonly<Record<string, unknown>>): void {
  const own = OWN_VARIABLES.find((name) => Object.hasOwn(kwargs, name));
  if (own === undefined) return;
  throw new UserError(
    `\`${own}\` is given to the chat template by the conversation: take it out of the template's variables`,
  );
}

/** Runs `work`; what Python would raise there becomes the user's to know. */
function told<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof PythonError)) throw cause;
    // A full stack: a value of the conversation is nested thousands deep, or a macro calls itself.
    const isDeep = cause.message === "Maximum call stack size exceeded";
    const why = isDeep ? "maximum recursion depth exceeded" : cause.message;
    throw new UserError(`the chat template does not take this conversation: ${why}`, { cause });
  }
}
