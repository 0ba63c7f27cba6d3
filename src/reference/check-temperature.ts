import { UserError } from "../common/errors.ts";
import { type Datum, rowCount } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { Tensor } from "../divergence/tensor.ts";
import type { ReferenceModel } from "./base.ts";
import { isTopK, type Reference, type ReferenceRows } from "./contract.ts";

/** How far from 1 a temperature may be found: rounding to half precision moves it by less. */
const TOLERANCE = 0.02;

/**
 * Refuses a reference that is the base itself at another temperature, as from a server that applies one: training would
 * sharpen or flatten the model. A normalized distribution does not show that, but comparison with the base
 * does: log-probabilities at temperature T differ from each other by 1/T of what the base's do. Compares once, at the first
 * datum of the first step.
 *
 * @throws UserError for a base without `distributions`; from `begin`, with the temperature found.
 * @example checkTemperature(promptReference(server, { k: 20, vocabSize }), client.sampler("base"))
 */
export function checkTemperature(reference: Reference, base: Pick<ReferenceModel, "distributions">): Reference {
  const { description, state } = reference;
  if (!base.distributions) {
    throw new UserError(
      `the temperature of the reference (${description}) is checked against the base's distributions over the whole vocabulary, which this model does not have: use an embedded engine, or omit the check`,
    );
  }
  let compared: Promise<void> | undefined;
  return {
    description,
    state,
    begin: async (data, step) => {
      const open = await reference.begin(data, step);
      const [datum] = data;
      if (!datum) return open;
      const compare = async () => {
        const [rows] = await open.rows([{ index: 0, from: 0, to: rowCount(datum) }]);
        const [own] = await base.distributions!([datum]);
        refuseTemperature(datum, rows!, own!, description);
      };
      compared ??= compare();
      await compared.catch((error) => {
        compared = undefined;
        throw error;
      });
      return open;
    },
  };
}

function refuseTemperature(datum: Datum, rows: ReferenceRows, base: Tensor, description: string): void {
  const temperature = temperatureBetween(datum, rows, base);
  if (temperature === undefined || Math.abs(temperature - 1) < TOLERANCE) return;
  const T = Number(temperature.toPrecision(3));
  throw new UserError(
    `the reference (${description}), ${formatDatum(datum, 0)}: it is the base's own distribution at temperature ${T}: ask for log-probabilities at temperature 1${isTopK(rows) ? "" : `, or set temperature: ${T}`}`,
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
