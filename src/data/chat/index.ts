export type { ContentPart, Conversation, Message } from "./conversation.ts";
export { contentText, readConversation, readMessages } from "./conversation.ts";
export {
  type ChatOptions,
  type ChatRenderer,
  chatRenderer,
  type RenderedChat,
  type RenderOptions,
} from "./renderer.ts";
export { type ChatFacts, chatFor, splitChat } from "./split.ts";
