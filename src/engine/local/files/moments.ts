/** @file AdamW's moments in a file, beside the adapter that they belong to. */

import { UserError } from "../../../common/errors.ts";
import { openSafetensors, writeSafetensors } from "../../../data/safetensors.ts";
import type { Tensor } from "../../../divergence/tensor.ts";
import type { Parameter } from "../optimizer.ts";

export interface Moments {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

const MOMENTS = ["mean", "variance"] as const;

export async function saveMoments(
  path: string,
  parameters: ReadonlyMap<string, Parameter>,
  steps: number,
): Promise<void> {
  const tensors = [...parameters].flatMap(([name, parameter]) =>
    MOMENTS.map((which) => [`${which}.${name}`, { data: parameter[which], shape: parameter.shape }] as const),
  );
  await writeSafetensors(path, new Map(tensors), { metadata: { steps: `${steps}` } });
}

/**
 * Reads the moments of these parameters and how many steps were taken.
 *
 * @throws UserError for a file that is missing or belongs to other parameters.
 */
export async function loadMoments(
  path: string,
  parameters: ReadonlyMap<string, Parameter>,
): Promise<{ readonly moments: ReadonlyMap<string, Moments>; readonly steps: number }> {
  const file = await openSafetensors(path);
  try {
    const steps = Number(file.metadata.steps ?? Number.NaN);
    if (!(Number.isInteger(steps) && steps >= 0)) {
      throw new UserError(
        `${path} does not say after how many steps it was saved; give a folder that saveState wrote.`,
      );
    }
    const moments = new Map<string, Moments>();
    for (const [name, { shape }] of parameters) {
      for (const which of MOMENTS) {
        const found = file.shapes.get(`${which}.${name}`);
        if (found?.join() !== shape.join()) {
          const what = found ? `[${found.join(", ")}]` : "nothing";
          throw new UserError(`${path} holds ${what} as the ${which} of ${name}, expected [${shape.join(", ")}].`);
        }
      }
      moments.set(name, { mean: await file.read(`mean.${name}`), variance: await file.read(`variance.${name}`) });
    }
    return { moments, steps };
  } finally {
    await file.close();
  }
}
