import { UserError } from "../../common/errors.ts";
import type { Tensor } from "../../divergence/tensor.ts";
import type { RawConfig } from "./raw-config.ts";

/** Below, wavelengths are shorter than a position; above, no float32 tells the longest from none. */
export const THETAS = [1, 1e30] as const;

/** A rotary embedding: the base of its wavelengths, and how they are stretched for longer texts. */
export interface Rope {
  readonly theta: number;
  readonly scaling?: RopeScaling;
}

/** As `rope_parameters`, or `rope_scaling`, in config.json says it. */
export type RopeScaling =
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      /** Positions that the model was trained on before. */
      readonly positions: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly positions: number;
      /** On cos and sin. */
      readonly attentionFactor: number;
      /** The ramp between the two kinds of frequencies begins and ends at whole ones. */
      readonly truncate: boolean;
    };

/**
 * Reads the rotary embedding: from `rope_parameters`, where newer files have it, else from `rope_theta` and `rope_scaling`.
 *
 * @param theta the family's default base.
 * @param layers the kind of layers, in files where `rope_parameters` has one entry for each kind.
 * @throws UserError for a kind that the engine does not compute, and for numbers that make none.
 */
export function readRope(raw: RawConfig, theta: number, layers?: string): Rope {
  const ofAll = raw.part("rope_parameters") ?? raw.part("rope_scaling");
  const rope = (layers !== undefined && ofAll?.part(layers)) || ofAll;
  const base =
    rope?.values.rope_theta == null
      ? raw.number("rope_theta", theta, THETAS)
      : rope.number("rope_theta", undefined, THETAS);
  const type: unknown = rope?.values.rope_type ?? rope?.values.type ?? "default";
  const partial = rope?.values.partial_rotary_factor ?? raw.values.partial_rotary_factor ?? 1;
  if (partial !== 1) raw.refuse(`partial_rotary_factor ${JSON.stringify(partial)}`);
  if (!rope || type === "default") return { theta: base };
  const positions = () => rope.number("original_max_position_embeddings", raw.number("max_position_embeddings"));
  switch (type) {
    case "linear":
      return { theta: base, scaling: { type, factor: rope.number("factor") } };
    case "llama3":
      return {
        theta: base,
        scaling: {
          type,
          factor: rope.number("factor"),
          lowFreqFactor: rope.number("low_freq_factor"),
          highFreqFactor: rope.number("high_freq_factor"),
          positions: positions(),
        },
      };
    case "yarn": {
      const factor = rope.number("factor");
      const concentration = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
      const { mscale, mscale_all_dim, attention_factor, truncate = true } = rope.values;
      const fallback =
        mscale && mscale_all_dim
          ? concentration(rope.number("mscale")) / concentration(rope.number("mscale_all_dim"))
          : concentration(1);
      return {
        theta: base,
        scaling: {
          type,
          factor,
          betaFast: rope.number("beta_fast", 32),
          betaSlow: rope.number("beta_slow", 1),
          positions: positions(),
          attentionFactor: attention_factor == null ? fallback : rope.number("attention_factor"),
          truncate: truncate !== false,
        },
      };
    }
    default:
      return raw.refuse(`rope_type ${JSON.stringify(type)}`);
  }
}

/**
 * Refuses a rotary embedding that turns the model's positions by no angle, or by none that float32 holds.
 *
 * @throws UserError
 */
export function checkRope(
  { path }: RawConfig,
  { headDim, maxPositions }: { readonly headDim: number; readonly maxPositions: number },
  rope: Rope,
): void {
  const holds = (frequency: number) => frequency > 0 && Number.isFinite(Math.fround(frequency * maxPositions));
  const factor = rope.scaling?.type === "yarn" ? rope.scaling.attentionFactor : 1;
  if (rotaryFrequencies(headDim, rope).every(holds) && Number.isFinite(Math.fround(factor))) return;
  const { theta, scaling } = rope;
  const scaled = scaling ? ` and the scaling ${JSON.stringify(scaling)}` : "";
  throw new UserError(
    `${path} has ${theta} for rope_theta${scaled}, whose angles float32 does not hold: the model would give NaN; values such as 10000 are expected.`,
  );
}

/** cos and sin of position · frequency, each [positions, d/2], rounded to float32 at the steps where Hugging Face rounds. */
export function rotaryTables(headDim: number, rope: Rope, positions: number): { cos: Tensor; sin: Tensor } {
  const half = headDim / 2;
  const shape = [positions, half];
  const frequencies = rotaryFrequencies(headDim, rope);
  const angles = Float32Array.from(
    { length: positions * half },
    (_, n) => Math.floor(n / half) * frequencies[n % half]!,
  );
  const factor = rope.scaling?.type === "yarn" ? rope.scaling.attentionFactor : 1;
  const table = (of: (angle: number) => number) => ({ data: angles.map((angle) => factor * of(angle)), shape });
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/**
 * Radians per position, [d/2]: θ^(−2i/d), stretched.
 *
 * - linear: all by the factor (Chen et al. 2023, Position Interpolation).
 * - llama3: wavelengths that the model saw less than `lowFreqFactor` times by the factor, those that it saw more than
 *   `highFreqFactor` times not at all, between them by degrees (Grattafiori et al. 2024, The Llama 3 Herd of Models).
 * - yarn: the same idea by index, between `betaFast` and `betaSlow` turns (Peng et al. 2023, YaRN).
 */
function rotaryFrequencies(headDim: number, { theta, scaling }: Rope): Float32Array {
  const plain = Float32Array.from({ length: headDim / 2 }, (_, i) => 1 / Math.fround(theta ** ((2 * i) / headDim)));
  switch (scaling?.type) {
    case undefined:
      return plain;
    case "linear":
      return plain.map((frequency) => frequency / scaling.factor);
    case "llama3": {
      const { factor, lowFreqFactor: low, highFreqFactor: high, positions } = scaling;
      return plain.map((frequency) => {
        const seen = (positions * frequency) / (2 * Math.PI);
        return mix(frequency / factor, frequency, clamp((seen - low) / (high - low)));
      });
    }
    case "yarn": {
      const { factor, betaFast, betaSlow, positions, truncate } = scaling;
      const indexAt = (turns: number) =>
        (headDim * Math.log(positions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
      const [from, to] = [indexAt(betaFast), indexAt(betaSlow)];
      const first = Math.max(truncate ? Math.floor(from) : from, 0);
      const last = Math.min(truncate ? Math.ceil(to) : to, headDim - 1);
      const width = first === last ? 0.001 : last - first;
      return plain.map((frequency, i) => mix(frequency, frequency / factor, clamp((i - first) / width)));
    }
  }
}

function mix(zero: number, one: number, share: number): number {
  return (1 - share) * zero + share * one;
}

function clamp(x: number): number {
  return Math.min(Math.max(x, 0), 1);
}
