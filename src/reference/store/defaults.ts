/** Defaults of a reference store: what is kept at each position, `k` tokens of it, and whose distributions. */
export const STORE_DEFAULTS = { kind: "top-k", k: 64, of: "base" } as const;
