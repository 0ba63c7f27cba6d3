// Divergences alone: distributions in; value, per-row values and gradient out.
//
//     npx tsx examples/divergence.ts
import { klDivergence, tensor } from "klamp/divergence";

const model = tensor([0.4, 0.3, 0.2, 0.1].map(Math.log), [1, 4]);
const reference = tensor([0.25, 0.25, 0.25, 0.25].map(Math.log), [1, 4]);

const { value, gradient } = klDivergence.withGradient(model, reference);
console.log(`KL(model‖reference) = ${value.toFixed(6)} nats`);
console.log(`its gradient in logit space: [${[...gradient.data].map((x) => x.toFixed(4)).join(", ")}]`);
console.log(`KL(reference‖model) = ${klDivergence(model, reference, { direction: "reverse" }).toFixed(6)} nats`);
console.log(`Jensen–Shannon      = ${klDivergence(model, reference, { symmetric: true }).toFixed(6)} nats`);
