/**
 * Which way a KL divergence is taken: `"p||q"` is KL(p‖q), `"q||p"` is KL(q‖p). `"forward"` (first p) and `"reverse"` (first q)
 * are aliases. Functions that have other names for p and q put them in place: `Direction<"model", "reference">`.
 */
export type Direction<P extends string = "p", Q extends string = "q"> =
  | `${P}||${Q}`
  | `${Q}||${P}`
  | "forward"
  | "reverse";

/**
 * The direction of `klDivergence` that a setting with other names for p and q stands for.
 *
 * @param p, q what the setting calls p and q. Default: `"p"` and `"q"`.
 * @throws RangeError for anything but the two directions and their aliases.
 * @example parseDirection("reference||model", "model", "reference"); // "q||p"
 */
export function parseDirection(direction: string, p = "p", q = "q"): "p||q" | "q||p" {
  const [forward, reverse] = [`${p}||${q}`, `${q}||${p}`];
  if (direction === forward || direction === "forward") return "p||q";
  if (direction === reverse || direction === "reverse") return "q||p";
  throw new RangeError(
    `direction is ${JSON.stringify(direction)}, expected "${forward}" (alias "forward") or "${reverse}" (alias "reverse")`,
  );
}
