import { UserError } from "../../common/errors.ts";
import { notSupported } from "./not-supported.ts";

type SpecialPiece = { readonly SpecialToken: { readonly id: string } } | { readonly Sequence: { readonly id: string } };

/** tokenizer.json's `post_processor`. */
export type PostProcessorDefinition =
  | { readonly type: "Sequence"; readonly processors: readonly PostProcessorDefinition[] }
  | { readonly type: "ByteLevel" }
  | {
      readonly type: "TemplateProcessing";
      readonly single: readonly SpecialPiece[];
      readonly special_tokens: Readonly<Record<string, { readonly ids: readonly number[] }>>;
    }
  | {
      readonly type: "BertProcessing" | "RobertaProcessing";
      readonly cls: [string, number];
      readonly sep: [string, number];
    };

/** The special tokens that a tokenizer puts around a text. */
export interface Surrounding {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const SUPPORTED = ["Sequence", "ByteLevel", "TemplateProcessing", "BertProcessing", "RobertaProcessing"];

/** @throws UserError for a template with a token that is not defined. */
export function surrounding(definition: PostProcessorDefinition | null | undefined): Surrounding {
  if (definition == null) return { before: [], after: [] };
  switch (definition.type) {
    case "ByteLevel":
      return { before: [], after: [] };
    case "Sequence":
      return definition.processors
        .map((step) => surrounding(step))
        .reduce((inner, outer) => ({
          before: [...outer.before, ...inner.before],
          after: [...inner.after, ...outer.after],
        }));
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: checkIds([definition.cls[1]]), after: checkIds([definition.sep[1]]) };
    case "TemplateProcessing": {
      const ids = (piece: SpecialPiece): readonly number[] => {
        if (!("SpecialToken" in piece)) return [];
        const defined = definition.special_tokens[piece.SpecialToken.id];
        if (defined !== undefined) return checkIds(defined.ids);
        throw new UserError(`it has no token for ${JSON.stringify(piece.SpecialToken.id)}`);
      };
      const text = definition.single.findIndex((piece) => "Sequence" in piece);
      return {
        before: definition.single.slice(0, text).flatMap(ids),
        after: definition.single.slice(text + 1).flatMap(ids),
      };
    }
    default:
      throw notSupported(`the post-processor ${(definition as { type: string }).type}`, SUPPORTED);
  }
}

function checkIds(ids: readonly number[]): readonly number[] {
  if (Array.isArray(ids) && ids.every((id) => Number.isInteger(id) && id >= 0)) return ids;
  throw new UserError("its `post_processor` adds tokens whose ids are no whole numbers");
}

/** What of the surrounding tokens is still to be put around a text: what it begins or ends with already is not doubled. */
export function stillMissing({ before, after }: Surrounding, ids: readonly number[]): Surrounding {
  const begins = before.length > 0 && before.every((id, i) => ids[i] === id);
  const ends = after.length > 0 && after.every((id, i) => ids[ids.length - after.length + i] === id);
  return { before: begins ? [] : before, after: ends ? [] : after };
}
