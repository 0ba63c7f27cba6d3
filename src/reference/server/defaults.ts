import { RETRY_DEFAULTS } from "../../common/retry.ts";

/** Defaults of a reference on a server: `k` tokens at each position, `concurrency` requests at once. */
export const SERVER_DEFAULTS = { k: 20, protocol: "vllm", concurrency: 4, ...RETRY_DEFAULTS } as const;
