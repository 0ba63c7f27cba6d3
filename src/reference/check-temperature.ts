import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { SamplingClient } from "../model/legacy.ts";
import { isTopK, type Reference, type ReferenceRows } from "./legacy.ts";

/**
 * Refuses a reference that is the base itself at another temperature, as a server that tempers what it tells would give:
 * held to it, training would sharpen or flatten the model. A normalized distribution does not show that, but beside the base
 * it does: log-probabilities at temperature T differ from each other by 1/T of what the base's do. Looks once, at the first
 * datum of the first answer.
 *
 * @throws UserError from `resolve` with the temperature found.
 * @example refuseTempered(promptReference(server, { k: 20, vocabSize }), client.sampler("base"))
 */
export function refuseTempered(reference: Reference, base: Pick<SamplingClient, "distributions">): Reference {
  let looked: Promise<void> | undefined;
  return {
    description: reference.description,
    resolve: async (data, options) => {
      const rows = await reference.resolve(data, options);
      const [datum] = data;
      if (datum) {
        looked ??= look(datum, rows[0]!, base, reference.description);
        await looked;
      }
      return rows;
    },
  };
}

async function look(
  datum: Datum,
  rows: ReferenceRows,
  base: Pick<SamplingClient, "distributions">,
  description: string,
): Promise<void> {
  const [own] = await base.distributions([datum]);
  const temperature = temperatureBetween(datum, rows, own!);
  if (temperature === undefined || Math.abs(temperature - 1) < 0.02) return;
  const T = Number(temperature.toPrecision(2));
  throw new UserError(
    `the reference (${description}), ${formatDatum(datum, 0)}: it is the base's own distribution at temperature ${T}: ask for log-probabilities at temperature 1${isTopK(rows) ? "" : `, or declare temperature ${T}`}`,
  );
}

/** The T at which the base's log-probabilities explain a reference's, up to a shift of each row; undefined where none does. */
function temperatureBetween(datum: Datum, rows: ReferenceRows, base: Tensor): number | undefined {
  const known = isTopK(rows) ? rows.logprobs : rows;
  const [k, size] = [known.shape[1]!, base.shape[1]!];
  if (known.shape[0] !== base.shape[0] || (!isTopK(rows) && k !== size)) return undefined;
  let [xx, xy, yy] = [0, 0, 0];
  for (let row = 0; row < known.shape[0]!; row++) {
    if (datum.lossInputs.weights.data[row] === 0) continue;
    const pairs: [number, number][] = [];
    for (let i = 0; i < k; i++) {
      const pair: [number, number] = [
        base.data[row * size + (isTopK(rows) ? rows.tokens.data[row * k + i]! : i)]!,
        known.data[row * k + i]!,
      ];
      if (pair.every(Number.isFinite)) pairs.push(pair);
    }
    const mean = (side: 0 | 1) => pairs.reduce((sum, pair) => sum + pair[side], 0) / pairs.length;
    const [x, y] = [mean(0), mean(1)];
    for (const [a, b] of pairs) {
      xx += (a - x) ** 2;
      xy += (a - x) * (b - y);
      yy += (b - y) ** 2;
    }
  }
  // What a line through the pairs leaves unexplained; rounding to half precision leaves far less than another model does.
  const unexplained = 1 - xy ** 2 / (xx * yy);
  return unexplained < 1e-3 ? xx / xy : undefined;
}
