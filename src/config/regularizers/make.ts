import type { Regularizer } from "../../loss/legacy.ts";
import type { SamplingClient } from "../../model/legacy.ts";
import type { Reference } from "../../reference/legacy.ts";
import type { AdapterPenalty } from "../../regularizer/adapter/contract.ts";
import { elasticNet, l1, l2 } from "../../regularizer/adapter/elastic-net.ts";
import { orthogonality } from "../../regularizer/adapter/orthogonality.ts";
import { tokenDropout, tokenReplacement } from "../../regularizer/augmentation.ts";
import { Consistency } from "../../regularizer/consistency.ts";
import { Entropy } from "../../regularizer/entropy.ts";
import { JensenShannon } from "../../regularizer/jensen-shannon.ts";
import { KLDivergence } from "../../regularizer/kl-divergence.ts";
import type { OnTextConfig, RegularizerConfig } from "../schema.ts";

/** What a regularizer is made with besides its settings. */
export interface Material {
  readonly name: string;
  readonly reference: Reference;
  /** A sampler over the weights as they are. */
  readonly model: Pick<SamplingClient, "distributions">;
  /** Used where the settings give none. */
  readonly seed: number;
}

/** The regularizer on text that settings describe. */
export function makeRegularizer(settings: OnTextConfig, { name, reference, model, seed }: Material): Regularizer {
  switch (settings.type) {
    case "kl_divergence": {
      const { direction, symmetric, reduction, epsilon, clip } = settings;
      return new KLDivergence({ name, reference, direction, symmetric, reduction, epsilon, clip: clip ?? undefined });
    }
    case "jensen_shannon": {
      const { beta, reduction, epsilon, clip } = settings;
      return new JensenShannon({ name, reference, beta, reduction, epsilon, clip: clip ?? undefined });
    }
    case "entropy": {
      const { mode, temperature, reduction } = settings;
      return new Entropy({ name, mode, temperature, reduction });
    }
    case "consistency": {
      const { rate, direction, symmetric, reduction, epsilon, clip } = settings;
      const view = settings.view === "replace" ? tokenReplacement({ rate }) : tokenDropout({ rate });
      const how = { direction, symmetric, reduction, epsilon, clip: clip ?? undefined };
      return new Consistency({ name, model, view, seed: settings.seed ?? seed, ...how });
    }
  }
}

/** The penalty on the adapter's matrices that settings describe. */
export function makeAdapterPenalty(settings: Exclude<RegularizerConfig, OnTextConfig>, name: string): AdapterPenalty {
  const { factors } = settings;
  switch (settings.type) {
    case "l1":
      return l1({ name, factors });
    case "l2":
      return l2({ name, factors });
    case "elastic_net":
      return elasticNet({ name, factors, l1_ratio: settings.l1_ratio });
    case "orthogonality":
      return orthogonality({ name, factors, target: settings.target });
  }
}
