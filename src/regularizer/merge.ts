/**
 * The metrics of a whole batch from those of its parts: `*_max` and `*_min` by maximum and minimum, all others by sum
 * (means have been divided by the whole batch's weight already). A part without a metric does not count for it.
 */
export function mergePenaltyMetrics(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const merged: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) {
      const sofar = merged[name];
      if (sofar === undefined) merged[name] = value;
      else if (name.endsWith("_max")) merged[name] = Math.max(sofar, value);
      else if (name.endsWith("_min")) merged[name] = Math.min(sofar, value);
      else merged[name] = sofar + value;
    }
  }
  return merged;
}
