import type { z } from "zod";
import { UserError } from "../../common/errors.ts";
import { promptReference } from "../../reference/prompt-reference.ts";
import { isServerAddress, SERVER_ADDRESS } from "../../reference/server/address.ts";
import { completionsServer } from "../../reference/server/completions-server.ts";
import { SERVER_DEFAULTS } from "../../reference/server/defaults.ts";
import { group, numberThat, oneOf, text, unset, whole } from "../values.ts";
import { checked } from "./precomputed.ts";
import { provider } from "./provider.ts";

/** In seconds. */
const DAY = 86_400;

const server = group({
  url: text(SERVER_ADDRESS).refine(isServerAddress, { error: SERVER_ADDRESS }),
  model: text("the name of a model there"),
  k: whole(1).default(SERVER_DEFAULTS.k).describe("how many tokens of each position to ask for"),
  protocol: oneOf(["vllm", "echo"])
    .default(SERVER_DEFAULTS.protocol)
    .describe("vllm: prompt_logprobs; echo: echo with logprobs"),
  api_key_env: unset(text("the name of an environment variable")).describe("where the API key is (default: none)"),
  concurrency: whole(1, 1000).default(SERVER_DEFAULTS.concurrency).describe("requests at once"),
  timeout: numberThat((value) => value > 0 && value <= DAY, "a number above 0, at most 86,400 (a day)")
    .default(SERVER_DEFAULTS.timeout / 1000)
    .describe("seconds that one try of a request may take"),
  retries: whole(0, 1000).default(SERVER_DEFAULTS.retries).describe("how often a failed request is tried again"),
});

export type ServerConfig = z.output<typeof server>;

/** A model that a server scores prompts with. */
export const serverProvider = provider({
  type: "server",
  schema: group({ server }),
  usage: "{ server: { url: URL, model: NAME } }",
  help: "a server that scores prompts, such as vLLM (also k, protocol, api_key_env, concurrency, timeout, retries)",
  describe: ({ server: { model, url } }) => `${model} at ${url}`,
  make: ({ server: { k, timeout, api_key_env, ...settings } }, material) => {
    const { tokenizer, vocabSize, note } = material;
    const apiKey = api_key_env === null ? undefined : process.env[api_key_env];
    if (api_key_env !== null && apiKey === undefined) {
      throw new UserError(
        `reference.server.api_key_env names ${api_key_env}, which is not set: set it to the server's API key`,
      );
    }
    const decode = (token: number) => tokenizer.decode([token], { specialTokens: true });
    note(`asking ${settings.model} at ${settings.url} about the first text`);
    const scorer = completionsServer({ ...settings, apiKey, timeout: 1000 * timeout, decode });
    return checked(promptReference(scorer, { k, vocabSize }), material);
  },
});
