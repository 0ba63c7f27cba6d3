// The three ways to a reference: given, in a field of each datum, or computed when asked.
//
//     npx tsx examples/three-references.ts
import { compute, everyToken, KLDivergence, tensor } from "klamp";

// Two texts of two predicted tokens each, over a vocabulary of three.
const data = [everyToken([0, 1, 2], "first"), everyToken([2, 0, 1], "second")];
const rows = (...p: number[]) => tensor(p.map(Math.log), [2, 3]);
const model = [rows(0.7, 0.2, 0.1, 0.2, 0.5, 0.3), rows(0.1, 0.1, 0.8, 0.3, 0.4, 0.3)];
const reference = [rows(0.6, 0.2, 0.2, 0.3, 0.4, 0.3), rows(0.2, 0.2, 0.6, 0.3, 0.3, 0.4)];

const given = new KLDivergence({ referenceLogprobs: reference });
const field = new KLDivergence({ referenceField: "base_logprobs" });
const computed = new KLDivergence({
  computeReference: async (batch) =>
    batch.map((datum) => reference[data.findIndex(({ source }) => source === datum.source)]!),
});
const withField = data.map((datum, i) => ({
  ...datum,
  lossInputs: { ...datum.lossInputs, base_logprobs: reference[i]! },
}));

for (const [name, penalty] of [
  ["given", await compute(given, data, model)],
  ["field", await compute(field, withField, model)],
  ["computed", await compute(computed, data, model)],
] as const) {
  const { kl_divergence, kl_max, kl_min } = penalty.metrics;
  console.log(
    `${name.padEnd(8)} KL ${kl_divergence!.toFixed(6)}  max ${kl_max!.toFixed(6)}  min ${kl_min!.toFixed(6)} nats`,
  );
}
