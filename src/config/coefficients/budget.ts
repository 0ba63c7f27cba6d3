import { BUDGET_DEFAULTS, budgetWeight } from "../../regularizer/coefficients/budget.ts";
import { group, notNegative, oneOf, positive, refuse, unset } from "../values.ts";
import { coefficient } from "./kind.ts";

/** A KL budget: the weight is the price that holds it. */
export const budget = coefficient({
  schema: group({
    budget: positive,
    update: oneOf(["additive", "multiplicative"]).default(BUDGET_DEFAULTS.update),
    initial: notNegative.default(BUDGET_DEFAULTS.initial),
    rate: unset(positive),
  }).superRefine(({ update, initial }, context) => {
    if (update === "additive" || initial > 0) return;
    refuse(context, ["initial"], "must be > 0: a multiplicative update never leaves 0");
  }),
  key: { name: "budget" },
  usage: "{ budget: NATS }",
  help: "holds a KL in nats per token (also update, initial, rate)",
  isControlled: true,
  make: ({ rate, ...settings }) => budgetWeight({ ...settings, rate: rate ?? undefined }),
  describe: ({ budget }) => `for a budget of ${budget} nats per token`,
  canTrain: () => true,
});
