import { z } from "zod";
import type { Datum } from "../../data/datum.ts";
import { STORE_DEFAULTS } from "../../reference/store/defaults.ts";
import { refuseMissing } from "../../reference/store/store-reference.ts";
import { group, oneOf, path, whole, word } from "../values.ts";
import { provider } from "./provider.ts";

const store = path("a reference store's folder");
const of = oneOf(["base", "start"]).default(STORE_DEFAULTS.of);
const topK = group({
  store,
  kind: word("top-k").default(STORE_DEFAULTS.kind),
  k: whole(1).default(STORE_DEFAULTS.k),
  of,
});
const hidden = group({ store, kind: word("hidden"), of });
const schema = z.union([topK, hidden], { error: "{ store: FOLDER }" });

/** The base's rows, or the starting adapter's, computed once. */
export const storeProvider = provider({
  type: "store",
  schema,
  usage: "{ store: FOLDER }",
  help: "what klamp reference build computed once (also kind: top-k or hidden, k, of: base or start)",
  describe: ({ store }) => `store ${store}`,
  isStart: ({ of }) => of === "start",
  refuses: (_, texts) =>
    texts.some((source) => typeof source === "object" && "samples" in source && source.refresh_every !== null)
      ? "a store holds only the samples drawn first: remove `refresh_every`, or use `reference: base`"
      : undefined,
  make: (settings, { openStore }) => {
    const reference = openStore(settings);
    // All texts are looked up before the first step.
    const attach = async (data: readonly Datum[]) => {
      refuseMissing(reference, data);
      return data;
    };
    return { reference, fields: [], attach };
  },
});
