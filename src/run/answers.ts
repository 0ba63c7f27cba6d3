import { UserError } from "../common/errors.ts";
import { greatest, least } from "../common/extremes.ts";
import { type Conversation, chatFor, chatRenderer } from "../data/chat/index.ts";
import { checkTokenizer, loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { encodePrompt } from "../data/weighted-tokens.ts";
import { openEngine } from "../engine/open.ts";
import { type LocateOptions, locateModel } from "../hub/locate.ts";
import type { SamplingClient } from "../model/contract.ts";
import { openTokenizer } from "./read-input.ts";
import { findTrained } from "./trained.ts";

/** A model that answers: a base, and what was trained on it. */
export interface Answerer {
  readonly tokenizer: Tokenizer;
  /** Whether prompts are turns of a chat: the model has a template for them. */
  readonly hasChat: boolean;
  /** `base`, and `adapter` where there is one. */
  readonly models: readonly ("base" | "adapter")[];
  /** Sentences that a user should know of the model's folder. */
  readonly notices: readonly string[];
  /** @throws UserError for a prompt that is too long, and for options that are none. */
  answer(model: "base" | "adapter", prompts: readonly Prompt[], how: AnswerOptions): Promise<Answer[]>;
  close(): Promise<void>;
}

/** What is asked: a text that is continued, or a conversation that is answered. */
export type Prompt = string | Conversation;

export interface AnswerOptions {
  /** Default 256, or as many as the model has room for. */
  readonly max_tokens?: number | undefined;
  /** Default 1; 0 is greedy. */
  readonly temperature?: number | undefined;
  readonly top_k?: number | undefined;
  readonly top_p?: number | undefined;
  /** Default 1. */
  readonly seed?: number | undefined;
  /** Texts that an answer ends before. Default none, beside the model's own end. */
  readonly stop?: readonly string[] | undefined;
  /** A system turn for conversations that begin with none. */
  readonly system?: string | undefined;
}

export interface Answer {
  /** Without the token that ended it. */
  readonly text: string;
  /** Drawn, the one that ended it included. */
  readonly tokens: number;
  /** `"stop"`: the model ended it, or a text of `stop` did. */
  readonly stop_reason: "stop" | "length";
}

export const ANSWER_DEFAULTS = { max_tokens: 256, temperature: 1, seed: 1 } as const;

/**
 * Opens a model to ask it. A run is asked in the chat template, and with the system prompt, that it was trained with.
 *
 * @param trained a run folder or an adapter, if there is one.
 * @param model a folder or a hub name; default: what the run or the adapter names.
 * @throws UserError when neither is given, or one is not found.
 */
export async function openAnswerer(
  { model, trained, threads }: { model?: string | undefined; trained?: string | undefined; threads?: number },
  options: LocateOptions = {},
): Promise<Answerer> {
  const found = trained === undefined ? undefined : await findTrained(trained, model, options);
  if (!found && model === undefined)
    throw new UserError("give a model with --model, or a run or an adapter with --adapter.");
  const { folder, hub } = found ? found.model : await locateModel(model!, options);
  const tokenizer = found?.config ? openTokenizer(found.config, folder) : loadTokenizer(folder);
  const engine = await openEngine({ type: "local", model: folder, hub, threads });
  const { max_tokens: _, ...defaults } = ANSWER_DEFAULTS;
  const samplers = new Map<string, SamplingClient>();
  const samplerOf = async (which: "base" | "adapter") => {
    const known = samplers.get(which) ?? (await engine.sampler(which === "base" ? undefined : found?.adapter));
    samplers.set(which, known);
    return known;
  };
  try {
    checkTokenizer(tokenizer, engine.model.vocabSize);
  } catch (error) {
    await engine.close();
    throw error;
  }
  return {
    tokenizer,
    hasChat: tokenizer.chatTemplate !== null,
    models: found ? ["base", "adapter"] : ["base"],
    notices: [...tokenizer.notices, ...(engine.model.notices ?? [])],
    answer: async (which, prompts, how) => {
      const { max_tokens, stop = [], system, ...rest } = { ...defaults, ...(defined(how) as AnswerOptions) };
      const tokens = prompts.map((prompt) => promptTokens(prompt, tokenizer, system));
      // The last token drawn is never read.
      const room = engine.model.maxPositions + 1 - greatest(tokens.map(({ length }) => length));
      const most = max_tokens ?? Math.max(1, Math.min(ANSWER_DEFAULTS.max_tokens, room));
      const sampler = await samplerOf(which);
      const drawn = await sampler.sample(tokens, { ...rest, max_tokens: most, stop: tokenizer.stop });
      return drawn.map(({ tokens, stop_reason }) => {
        const ended = stop_reason === "stop" ? tokens.subarray(0, -1) : tokens;
        const text = tokenizer.decode(ended);
        const at = least(stop.map((each) => text.indexOf(each)).filter((index) => index !== -1));
        return at < text.length
          ? { text: text.slice(0, at), tokens: tokens.length, stop_reason: "stop" }
          : { text, tokens: tokens.length, stop_reason };
      });
    },
    close: () => engine.close(),
  };
}

function promptTokens(prompt: Prompt, tokenizer: Tokenizer, system: string | undefined): Int32Array {
  if (typeof prompt === "string") {
    const tokens = encodePrompt(prompt, tokenizer);
    if (tokens.length > 0) return tokens;
    throw new UserError("the prompt is empty, and the model needs a token to go on from: give one.");
  }
  const renderer = chatRenderer(tokenizer, { ...tokenizer.chat, ...(system !== undefined && { system }) });
  const { text } = renderer.render(chatFor(renderer, prompt), { generationPrompt: true });
  return tokenizer.encode(text);
}

function defined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}
