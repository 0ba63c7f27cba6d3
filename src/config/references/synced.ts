import { syncedReference } from "../../reference/synced.ts";
import { group, whole } from "../values.ts";
import { live, provider } from "./provider.ts";

/** The model itself, copied every so many steps. */
export const synced = provider({
  type: "synced",
  schema: group({ synced: group({ every: whole(1).describe("steps between copies of the model") }) }),
  usage: "{ synced: { every: STEPS } }",
  help: "a copy of the model, taken anew every so many steps",
  describe: ({ synced: { every } }) => `the model up to ${every} steps ago`,
  make: ({ synced: { every } }, { snapshots }) => live(syncedReference(snapshots, { every })),
});
