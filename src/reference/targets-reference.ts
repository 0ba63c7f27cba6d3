import { UserError } from "../common/errors.ts";
import { formatDatum } from "../data/format-datum.ts";
import type { SamplingClient } from "../model/contract.ts";
import { type ComputedOptions, computedReference } from "./computed.ts";
import type { Reference } from "./contract.ts";
import type { InputFormat } from "./normalize-rows.ts";
import { promptOf } from "./prompt-reference.ts";

/**
 * A reference that knows the log-probability of each target token alone: two outcomes at each position, the target and any
 * other token. A divergence over them is a lower bound, and a loose one; ask for the k likeliest tokens where you can.
 *
 * @throws UserError from `begin`, naming the datum, where a target is not the next token of the text.
 * @example new KLDivergence({ reference: targetsReference(await service.sampler({ base_model: "small-world" })) })
 */
export function targetsReference(
  client: Pick<SamplingClient, "computeLogprobs">,
  options: Omit<ComputedOptions, keyof InputFormat> = {},
): Reference {
  const description = options.description ?? "log-probabilities of the targets";
  return computedReference(
    async (data) => {
      const prompts = data.map(promptOf);
      const scored = await client.computeLogprobs(prompts);
      return data.map((datum, i) => {
        const { target_tokens, positions } = datum.lossInputs;
        const own = target_tokens.data.map((token, row) => {
          const place = (positions?.data[row] ?? row) + 1;
          if (prompts[i]![place] === token) return place;
          throw new UserError(
            `${formatDatum(datum, i)}, position ${row}: the target is token ${token}, but the next token of the text is ${prompts[i]![place]}, and log-probabilities are known for that one alone`,
          );
        });
        return { data: Float32Array.from(own, (place) => scored[i]![place]!), shape: [own.length] };
      });
    },
    { ...options, description, targets: true },
  );
}
