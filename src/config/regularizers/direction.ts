/**
 * @file Which distribution comes first in KL(first‖second), as in `reference||model` and `model||reference`. `forward` (the
 * model first) and `reverse` are read as well, and kept by the names that say it.
 */

/** What is expected of a direction between the model and `other`. */
export function expectedDirection(other: string): string {
  const quoted = `--set 'regularizers.0.direction=model||${other}'`;
  return `${other}||model or model||${other} (in a shell quote it: ${quoted})`;
}

/** What the directions between the model and `other` are. */
export function describeDirection(other: string): string {
  return [`${other}||model`, `model||${other}`].map((word) => `${word} is ${klFormula(word)}`).join(", ");
}

/** `KL(reference‖model)`. */
export function klFormula(direction: string): string {
  return `KL(${direction.replace("||", "‖")})`;
}
