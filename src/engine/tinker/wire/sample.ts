import { UserError } from "../../../common/errors.ts";
import { writeBytes, writeInteger, writeMessage } from "../../../common/protobuf.ts";
import type { SampledSequence } from "../../../model/contract.ts";
import { Message } from "./message.ts";
import { bytesOf, floats, integers } from "./tensor.ts";

/** The k likeliest tokens at each position of a prompt, row-major [prompt_length, k]. */
export interface TopkPromptLogprobs {
  readonly token_ids: Int32Array;
  readonly logprobs: Float32Array;
  readonly k: number;
  readonly prompt_length: number;
}

export interface SampleResponse {
  readonly sequences: readonly SampledSequence[];
  /** As long as the prompt; entry 0 is NaN. */
  readonly prompt_logprobs?: Float32Array;
  readonly topk_prompt_logprobs?: TopkPromptLogprobs;
}

/** Numbers of the protobuf `StopReason`. */
const STOP_REASONS = ["stop", "length"] as const;

export function encodeSampleResponse({
  sequences,
  prompt_logprobs,
  topk_prompt_logprobs: topk,
}: SampleResponse): Uint8Array<ArrayBuffer> {
  return writeMessage((writer) => {
    for (const { stop_reason, tokens, logprobs } of sequences) {
      const sequence = writeMessage((inner) => {
        writeInteger(inner, 1, STOP_REASONS.indexOf(stop_reason));
        writeBytes(inner, 2, bytesOf(tokens));
        writeBytes(inner, 3, bytesOf(logprobs));
      });
      writeBytes(writer, 1, sequence);
    }
    if (prompt_logprobs) writeBytes(writer, 2, bytesOf(prompt_logprobs));
    if (topk) {
      const message = writeMessage((inner) => {
        writeBytes(inner, 1, bytesOf(topk.token_ids));
        writeBytes(inner, 2, bytesOf(topk.logprobs));
        writeInteger(inner, 3, topk.k);
        writeInteger(inner, 4, topk.prompt_length);
      });
      writeBytes(writer, 3, message);
    }
  });
}

export function decodeSampleResponse(bytes: Uint8Array): SampleResponse {
  const message = new Message(bytes);
  return {
    sequences: message.every(1).map(decodeSequence),
    ...(message.has(2) && { prompt_logprobs: floats(message.bytes(2)) }),
    ...(message.has(3) && { topk_prompt_logprobs: decodeTopk(message.bytes(3)) }),
  };
}

function decodeSequence(bytes: Uint8Array): SampledSequence {
  const message = new Message(bytes);
  const stop_reason = STOP_REASONS[message.number(1)];
  if (!stop_reason)
    throw new UserError(
      `a sequence ended for the unknown reason ${message.number(1)}, expected 0 (stop) or 1 (length)`,
    );
  const tokens = integers(message.bytes(2));
  // A server need not score what it drew; NaN says so and keeps the lengths equal.
  const logprobs = message.has(3) ? floats(message.bytes(3)) : new Float32Array(tokens.length).fill(Number.NaN);
  return { tokens, logprobs, stop_reason };
}

function decodeTopk(bytes: Uint8Array): TopkPromptLogprobs {
  const message = new Message(bytes);
  return {
    token_ids: integers(message.bytes(1)),
    logprobs: floats(message.bytes(2)),
    k: message.number(3),
    prompt_length: message.number(4),
  };
}
