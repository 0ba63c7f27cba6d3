import { z } from "zod";
import { isServerAddress, SERVER_ADDRESS } from "../reference/server/address.ts";
import { type On, sourcesOf } from "./text.ts";
import { group, path, positive, text, unset, whole } from "./values.ts";

/** @file What a regularizer holds the model to. */

const folder = path("a reference store's folder");
const of = z.enum(["base", "start"], { error: "base or start" }).default("base");
const topKStore = group({
  store: folder,
  kind: z.literal("top-k", { error: "top-k or hidden" }).default("top-k"),
  k: whole(1).default(64),
  of,
});
const hiddenStore = group({ store: folder, kind: z.literal("hidden", { error: "top-k or hidden" }), of });

const server = group({
  url: text(SERVER_ADDRESS).refine(isServerAddress, { error: SERVER_ADDRESS }),
  model: text("the name of a model there"),
  k: whole(1).default(20).describe("how many tokens of each row to ask for"),
  protocol: z
    .enum(["vllm", "echo"], { error: "vllm or echo" })
    .default("vllm")
    .describe("vllm: prompt_logprobs; echo: echo with logprobs"),
  api_key_env: unset(text("the name of an environment variable")).describe("where the API key is (default: none)"),
  concurrency: whole(1).default(4).describe("requests at once"),
  timeout: positive.default(60).describe("seconds that one try of a request may take"),
  retries: whole(0).default(4).describe("how often a failed request is tried again"),
});

const temperature = positive.default(1).describe("the temperature that the log-probabilities are of");

export const reference = z
  .union(
    [
      z.enum(["base", "start"]),
      group({ field: text("the name of a key in each line of the data"), temperature }),
      group({ file: path("a file of log-probabilities"), temperature }),
      topKStore,
      hiddenStore,
      group({ server }),
      group({ moving: group({ every: whole(1).describe("steps between copies of the model") }) }),
    ],
    {
      error:
        "base, start, { field: NAME }, { file: PATH }, { store: FOLDER }, { server: { url: URL, model: NAME } } or { moving: { every: STEPS } }",
    },
  )
  .default("base")
  .describe(
    "base; start, the adapter that training starts from; { field: NAME } of the data's lines, { file: PATH } of log-probabilities (both also temperature); { store: FOLDER } that klamp reference build fills (also kind: top-k or hidden, k, of: base or start); { server: { url: URL, model: NAME } } that scores prompts, such as vLLM (also k, protocol, api_key_env, concurrency, timeout, retries); or { moving: { every: STEPS } }, the model as it was up to so many steps ago",
  );

export type ReferenceConfig = z.output<typeof reference>;
export type ServerConfig = z.output<typeof server>;
export type StoreConfig = z.output<typeof topKStore> | z.output<typeof hiddenStore>;

/** Refuses samples, which are drawn when training begins, where the reference was computed before. */
export function samplesAreNew(
  { on, reference }: { readonly on: On | null; readonly reference: ReferenceConfig },
  context: z.RefinementCtx,
) {
  if (on === null) return;
  if (typeof reference === "object" && "file" in reference && sourcesOf(on).length > 1) {
    const message = "another, or a regularizer for each text: the numbers of a file belong to the lines of one";
    context.addIssue({ code: "custom", path: ["reference"], message });
    return;
  }
  if (typeof reference === "object" && "store" in reference && redrawn(on)) {
    const message = "another, or samples without refresh_every: a store knows the first samples alone";
    context.addIssue({ code: "custom", path: ["reference"], message });
    return;
  }
  const drawn = sourcesOf(on).some((source) => typeof source === "object" && "samples" in source);
  if (!isComputedBefore(reference) || !drawn) return;
  context.addIssue({
    code: "custom",
    path: ["reference"],
    message: "base or another that can be asked about samples, which nobody knew before",
  });
}

/** Whether this is the adapter that training starts from. */
export function isStart(reference: ReferenceConfig): boolean {
  return reference === "start" || (typeof reference === "object" && "store" in reference && reference.of === "start");
}

/** Whether a reference's numbers belong to the lines of a file, and can be had for no other text. */
export function isComputedBefore(reference: ReferenceConfig): boolean {
  return typeof reference === "object" && ("field" in reference || "file" in reference);
}

function redrawn(on: On): boolean {
  return sourcesOf(on).some(
    (source) => typeof source === "object" && "samples" in source && source.refresh_every !== null,
  );
}
