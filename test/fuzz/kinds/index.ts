import type { FuzzKind } from "../kind.ts";
import { config } from "./config.ts";
import { data, questions } from "./data.ts";
import { modelConfig, template, tokenizer } from "./model.ts";
import { store } from "./store.ts";
import { adapter, optimizer, safetensors, shards } from "./weights.ts";
import { completions, protobuf } from "./wire.ts";

export const KINDS: readonly FuzzKind[] = [
  ...[data, questions, config, modelConfig, tokenizer, template, safetensors, shards, adapter, optimizer, store],
  ...[protobuf, completions],
];
