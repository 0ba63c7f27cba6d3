import { add } from "./operators.ts";
import { topological, type Value } from "./value.ts";

/**
 * Reverse-mode differentiation: the gradients of ⟨output, seed⟩ with respect to `parameters`, as values of a larger
 * graph. Only rules on a path from `output` to a parameter are used.
 *
 * @param seed the gradient with respect to `output`, of its shape.
 * @returns one value per parameter, of its shape.
 * @throws Error when the output does not depend on a parameter, or an operator on the way has no rule.
 */
export function gradients(output: Value, seed: Value, parameters: readonly Value[]): Value[] {
  const order = topological([output]);
  const active = new Set<Value>(parameters);
  for (const value of order) if (value.inputs.some((below) => active.has(below))) active.add(value);

  const adjoint = new Map<Value, Value>([[output, seed]]);
  for (const value of order.reverse()) {
    const dy = adjoint.get(value);
    if (!dy || !active.has(value) || value.operator === null) continue;
    const rules = value.operator.gradient?.(value, dy);
    if (!rules) throw new Error(`operator ${value.operator.name} has no gradient rule`);
    value.inputs.forEach((below, i) => {
      if (!active.has(below)) return;
      const term = rules[i]!();
      const sum = adjoint.get(below);
      adjoint.set(below, sum ? add(sum, term) : term);
    });
  }
  return parameters.map((parameter) => {
    const gradient = adjoint.get(parameter);
    if (!gradient) throw new Error(`the output does not depend on ${parameter.name ?? "a parameter"}`);
    return gradient;
  });
}

/**
 * The residuals: what the backward graph takes over from the forward graph. They are the values that `backward` needs,
 * that `forward` computes, and whose operators are costly; everything between them is cheap, and computed again.
 */
export function residuals(forward: readonly Value[], backward: readonly Value[]): Value[] {
  const computed = new Set(topological(forward));
  const costly = new Set<Value>();
  for (const value of topological(backward)) {
    if (computed.has(value) && value.operator?.isResidual) costly.add(value);
  }
  const needed = new Set(topological(backward, costly));
  return [...costly].filter((value) => needed.has(value));
}
