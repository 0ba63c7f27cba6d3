import { ADAPTIVE_DEFAULTS, adaptiveWeight } from "../../regularizer/coefficients/adaptive.ts";
import { group, positive, word } from "../values.ts";
import { coefficient } from "./kind.ts";

/** Ziegler's adaptive controller. */
export const adaptive = coefficient({
  schema: group({
    controller: word("adaptive"),
    target: positive,
    initial: positive.default(ADAPTIVE_DEFAULTS.initial),
    horizon: positive.default(ADAPTIVE_DEFAULTS.horizon),
  }),
  key: { name: "controller" },
  usage: "{ controller: adaptive, target: NATS }",
  help: "moves toward a KL in nats per token (also initial, horizon)",
  isControlled: true,
  make: adaptiveWeight,
  describe: ({ target }) => `for a target of ${target} nats per token`,
  canTrain: () => true,
});
