/** @file AdamW's moments in a file, beside the adapter that they belong to. */

import { UserError } from "../../../common/errors.ts";
import { openSafetensors, writeSafetensors } from "../../../data/safetensors.ts";
import type { Tensor } from "../../../divergence/tensor.ts";
import type { Parameter } from "../optimizer.ts";

const MOMENTS = ["mean", "variance"] as const;

/** Writes the moments of these parameters, and how many updates were made. */
export async function writeMoments(
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
 * Reads the moments of these parameters, by the names `mean.…` and `variance.…`, and how many updates were made.
 *
 * @throws UserError for a file that is missing or belongs to other parameters.
 */
export async function readMoments(
  path: string,
  parameters: ReadonlyMap<string, Tensor>,
): Promise<{ readonly moments: ReadonlyMap<string, Tensor>; readonly steps: number }> {
  const file = await openSafetensors(path);
  try {
    const steps = Number(file.metadata.steps ?? Number.NaN);
    if (!(Number.isSafeInteger(steps) && steps >= 0 && /^\d+$/.test(file.metadata.steps!))) {
      throw new UserError(
        `${path} does not say after how many steps it was saved; give a folder that saveState wrote.`,
      );
    }
    const moments = new Map<string, Tensor>();
    for (const [name, { shape }] of parameters) {
      for (const which of MOMENTS) {
        const found = file.shapes.get(`${which}.${name}`);
        if (found?.join() !== shape.join()) {
          const what = found ? `[${found.join(", ")}]` : "nothing";
          throw new UserError(`${path} holds ${what} as the ${which} of ${name}, expected [${shape.join(", ")}].`);
        }
        const moment = await file.read(`${which}.${name}`);
        if (which === "variance" && moment.data.some((value) => value < 0)) {
          throw new UserError(`${path} holds numbers below 0 in ${which}.${name}, a mean of squares: it is damaged.`);
        }
        moments.set(`${which}.${name}`, moment);
      }
    }
    const strange = [...file.shapes.keys()].find((name) => !moments.has(name));
    if (strange !== undefined) throw new UserError(`${path} holds ${strange}, which is no moment of this adapter.`);
    return { moments, steps };
  } finally {
    await file.close();
  }
}
