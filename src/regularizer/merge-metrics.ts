type Metrics = Readonly<Record<string, number>>;

/** Joins the metrics of parts of a batch, by name: `*_max` and `*_min` by their extremes, all others by their sum. */
export function mergeMetrics(parts: readonly Metrics[]): Metrics {
  const merged: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) {
      const before = merged[name];
      if (before === undefined) merged[name] = value;
      else if (name.endsWith("_max")) merged[name] = Math.max(before, value);
      else if (name.endsWith("_min")) merged[name] = Math.min(before, value);
      else merged[name] = before + value;
    }
  }
  return merged;
}
