import { UserError } from "../common/errors.ts";
import type { Datum } from "../data/datum.ts";
import { formatDatum } from "../data/format-datum.ts";
import { openSafetensors } from "../data/safetensors.ts";
import type { Tensor } from "../divergence/tensor.ts";
import { formatShape } from "../divergence/tensor.ts";

/**
 * Gives each datum, as the loss input `field`, its own log-probabilities from a safetensors file: tensor `0` belongs to
 * the first datum, `1` to the second, …; each is [tokens − 1, V], one row per token that could be predicted.
 *
 * @throws UserError for a missing tensor or another shape, naming the datum and both shapes.
 * @example
 * # Python: save_file({str(i): logits.log_softmax(-1)[:-1] for i, logits in enumerate(all_logits)}, "base.safetensors")
 */
export async function attachReference(
  data: readonly Datum[],
  path: string,
  field: string,
  vocabSize: number,
): Promise<Datum[]> {
  const file = await openSafetensors(path);
  try {
    const attached: Datum[] = [];
    for (const [i, datum] of data.entries()) {
      const found = file.shapes.get(`${i}`);
      const expected = [datum.modelInput.length, vocabSize];
      if (found?.join() !== expected.join()) {
        throw new UserError(
          `${path} ${found ? `holds tensor "${i}" with shape ${formatShape(found)}` : `has no tensor "${i}"`}, ${formatDatum(datum, i)} needs log-probabilities of shape ${formatShape(expected)}, one row per token after the first.`,
        );
      }
      const whole = await file.read(`${i}`, { finite: false });
      attached.push({ ...datum, lossInputs: { ...datum.lossInputs, [field]: keptRows(datum, whole) } });
    }
    return attached;
  } finally {
    await file.close();
  }
}

function keptRows({ lossInputs: { positions } }: Datum, whole: Tensor): Tensor {
  if (!positions) return whole;
  const width = whole.shape[1]!;
  const data = new Float32Array(positions.data.length * width);
  for (const [row, at] of positions.data.entries())
    data.set(whole.data.subarray(at * width, (at + 1) * width), row * width);
  return { data, shape: [positions.data.length, width] };
}
