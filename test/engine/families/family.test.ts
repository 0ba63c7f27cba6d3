import { describe, expect, test } from "vitest";
import { createRandom } from "../../../src/common/random.ts";
import { attentionMask } from "../../../src/engine/families/columns.ts";
import { buildDecoder } from "../../../src/engine/families/decoder.ts";
import type { Family } from "../../../src/engine/families/family.ts";
import { attention, mlp, norm } from "../../../src/engine/families/layers.ts";
import { llama } from "../../../src/engine/families/llama.ts";
import { loraShapes } from "../../../src/engine/families/lora.ts";
import { type ModelConfig, readShape } from "../../../src/engine/families/model-config.ts";
import { waysOf } from "../../../src/engine/families/ways.ts";
import { weightShapes } from "../../../src/engine/families/weights.ts";
import { gradients } from "../../../src/engine/graph/gradient.ts";
import { add, scale } from "../../../src/engine/graph/operators.ts";
import { input } from "../../../src/engine/graph/value.ts";
import { projectionName } from "../../../src/model/lora.ts";
import { expectGradient } from "../graph/finite-differences.ts";
import { evaluate } from "../graph/interpreter.ts";
import { run } from "../graph/onnx-runtime.ts";
import { dot, noise, type Tensor64, tabulate } from "../graph/tensor64.ts";
import { CONFIG, LORA, parameters, passInputs } from "./decoder-inputs.ts";

/**
 * @file What other families are made of: biases, norms on heads, norms after blocks, a scale of the embeddings, and layers
 * that see a window. This one has them all, and is made of the same parts as Llama.
 */

const LOCAL = { name: "local", window: 2, rope: { theta: 10 } };
const GLOBAL = { name: "global", window: null, rope: { theta: 100 } };
const WAYS = { ...CONFIG, scoreScale: 0.3, attention: { ways: [LOCAL, GLOBAL], layers: [0, 1] } };

const everything: Family = {
  architectures: ["EverythingForCausalLM"],
  config: (raw) => readShape(raw, { ropeTheta: 100, maxPositions: 16, tied: true }),
  weights(config) {
    const shapes = new Map(llama.weights(config));
    for (let layer = 0; layer < config.layers; layer++) {
      const name = `model.layers.${layer}`;
      for (const each of ["q_proj", "k_proj", "v_proj"] as const) {
        const module = projectionName(layer, each);
        shapes.set(`${module}.bias`, [shapes.get(`${module}.weight`)![0]!]);
      }
      shapes.set(`${projectionName(layer, "o_proj")}.bias`, [config.hiddenSize]);
      for (const each of ["q_norm", "k_norm"]) shapes.set(`${name}.self_attn.${each}.weight`, [config.headDim]);
      for (const each of ["pre_feedforward_layernorm", "post_feedforward_layernorm"]) {
        shapes.set(`${name}.${each}.weight`, [config.hiddenSize]);
      }
    }
    return shapes;
  },
  hidden(config, inputs) {
    let x = scale(inputs.embeddings, Math.sqrt(config.hiddenSize));
    for (let layer = 0; layer < config.layers; layer++) {
      const name = `model.layers.${layer}`;
      const way = layer % 2 === 0 ? LOCAL : GLOBAL;
      const mixed = attention(inputs, norm(inputs, x, `${name}.input_layernorm`), layer, way, {
        residual: x,
      });
      x = norm(inputs, mixed, `${name}.post_attention_layernorm`);
      const inner = mlp(inputs, norm(inputs, x, `${name}.pre_feedforward_layernorm`), layer);
      x = add(x, norm(inputs, inner, `${name}.post_feedforward_layernorm`));
    }
    return norm(inputs, x, "model.norm");
  },
};

const BATCH = 2;
const LENGTH = 4;
const random = createRandom(11);

/** Everything that the graph is fed, for any family over CONFIG. */
function feedsOf(family: Family, config: ModelConfig = WAYS): Map<string, Tensor64> {
  const feeds = parameters(createRandom(5));
  for (const [name, shape] of family.weights(config)) if (!feeds.has(name)) feeds.set(name, noise(random, [...shape]));
  for (const [name, tensor] of passInputs(noise(random, [BATCH * LENGTH, CONFIG.hiddenSize]), BATCH)) {
    feeds.set(name, tensor);
  }
  for (const way of waysOf(config)) {
    const { data, shape } = attentionMask(CONFIG, way, { batch: 2, length: LENGTH });
    const half = CONFIG.headDim / 2;
    const angle = ([position, i]: readonly number[]) => position! * way.rope!.theta ** (-i! / half);
    const table = [CONFIG.maxPositions, half];
    feeds.set(`mask.${way.name}`, { data: Float64Array.from(data), shape });
    feeds.set(
      `cos.${way.name}`,
      tabulate(table, (index) => Math.fround(Math.cos(angle(index)))),
    );
    feeds.set(
      `sin.${way.name}`,
      tabulate(table, (index) => Math.fround(Math.sin(angle(index)))),
    );
  }
  return feeds.set("dhidden", noise(random, [BATCH * LENGTH, CONFIG.hiddenSize]));
}

describe("a family of its own", () => {
  // A large ε bends the norms less, for finite differences.
  const decoder = buildDecoder({ ...WAYS, normEpsilon: 0.1 }, LORA, { family: everything });
  const feeds = feedsOf(everything);
  const hidden = (changed: [string, Tensor64][] = [], { hidden } = decoder) =>
    evaluate([hidden], new Map([...feeds, ...changed]), { batch: BATCH, length: LENGTH })[0]!;
  const trained = [...decoder.adapter.values(), ...decoder.weights.values(), decoder.embeddings];
  const found = gradients(decoder.hidden, input("dhidden", ["tokens", CONFIG.hiddenSize]), trained);
  const sizes = { batch: BATCH, length: LENGTH };

  test("uses every weight that it declares, and has LoRA beside its projections", () => {
    expect([...decoder.weights.keys()]).toEqual([...everything.weights(CONFIG).keys()]);
    expect(decoder.adapter.size).toBe(2 * 7 * CONFIG.layers);
  });

  test.each(trained.map(({ name }, i) => [name!, i] as const))(
    "the gradient of %s is that of finite differences",
    (name, i) => {
      const [exact] = evaluate([found[i]!], feeds, sizes);
      const loss = (x: Tensor64) => dot(hidden([[name, x]]), feeds.get("dhidden")!);
      expectGradient(loss, feeds.get(name)!, exact!, createRandom(9), name);
    },
  );

  test("ONNX Runtime computes the same", async () => {
    const outputs = new Map([
      ["hidden", decoder.hidden],
      ...trained.map(({ name }, i) => [`d.${name}`, found[i]!] as const),
    ]);
    const results = await run(outputs, feeds, sizes);
    for (const [name, value] of outputs) {
      const [expected] = evaluate([value], feeds, sizes);
      const largest = expected!.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const error = expected!.data.reduce((most, x, i) => Math.max(most, Math.abs(x - results.get(name)!.data[i]!)), 0);
      expect(error / largest, name).toBeLessThan(2e-5);
    }
  });

  test("a norm on heads undoes the size of a projection; a bias before it does not vanish", () => {
    const sharp = buildDecoder(WAYS, LORA, { family: everything });
    const before = hidden([], sharp);
    const module = projectionName(0, "q_proj");
    const times = (name: string, factor: number): [string, Tensor64] => {
      const { data, shape } = feeds.get(name)!;
      return [name, { data: data.map((x) => factor * x), shape }];
    };
    const pair = (factor: number) => [
      times(`${module}.weight`, factor),
      times(`base_model.model.${module}.lora_B.weight`, factor),
    ];
    const largest = before.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const distance = (one: Tensor64) =>
      one.data.reduce((most, x, i) => Math.max(most, Math.abs(x - before.data[i]!)), 0) / largest;
    expect(distance(hidden([...pair(100), times(`${module}.bias`, 100)], sharp))).toBeLessThan(1e-3);
    expect(distance(hidden(pair(100), sharp))).toBeGreaterThan(1e-2);
  });

  test("layers that see a window of 2 alone pass on what the token before it had, a layer at a time", () => {
    const way = { name: "local", window: 2, rope: { theta: 100 } };
    const one = { ...CONFIG, layers: 1, attention: { ways: [way], layers: [0] } };
    const graph = buildDecoder(one, null).hidden;
    const fed = feedsOf(llama, one);
    const compute = (embeddings: Tensor64) => evaluate([graph], new Map(fed).set("embeddings", embeddings), sizes)[0]!;
    const embeddings = fed.get("embeddings")!;
    const other = tabulate(
      embeddings.shape,
      ([i, j]) => embeddings.data[i! * CONFIG.hiddenSize + j!]! * (i === 0 ? -2 : 1),
    );
    const [before, after] = [compute(embeddings), compute(other)];
    const differs = Array.from({ length: LENGTH }, (_, i) => {
      const rows = [before, after].map(({ data }) => data.slice(i * CONFIG.hiddenSize, (i + 1) * CONFIG.hiddenSize));
      return rows[0]!.some((x, j) => x !== rows[1]![j]);
    });
    expect(differs).toEqual([true, true, false, false]);
  });
});

test("names and shapes of weights and matrices are those of the graph, in its order", () => {
  const { weights, adapter } = buildDecoder(CONFIG, LORA);
  const shapesOf = (values: typeof weights) => [...values].map(([name, { shape }]) => [name, shape]);
  expect([...llama.weights(CONFIG)]).toEqual(shapesOf(weights));
  expect([...loraShapes(llama.weights(CONFIG), LORA)]).toEqual(shapesOf(adapter));
  const names = [...weightShapes({ ...CONFIG, tied: false }).keys()];
  expect(names).toEqual(["model.embed_tokens.weight", ...weights.keys(), "lm_head.weight"]);
  expect([...weightShapes(CONFIG).keys()]).toEqual(names.slice(0, -1));
});
