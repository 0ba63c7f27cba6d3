import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { UserError } from "../../../src/common/errors.ts";
import { type Datum, everyToken, rowCount } from "../../../src/data/datum.ts";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import { klDivergence } from "../../../src/divergence/kl-divergence.ts";
import { selectTopK } from "../../../src/divergence/supports/top-k.ts";
import { LocalModel } from "../../../src/engine/local/local-model.ts";
import type { LocalSamplingClient } from "../../../src/engine/local/sampling-client.ts";
import { drawBaseSamples } from "../../../src/model/base-samples.ts";
import { checkTemperature } from "../../../src/reference/check-temperature.ts";
import { promptReference } from "../../../src/reference/prompt-reference.ts";
import { type CompletionsServerOptions, completionsServer } from "../../../src/reference/server/completions-server.ts";
import { newStep, positionByPosition, rowsOf } from "../asking.ts";
import { startVllm, type VllmOptions } from "./vllm.ts";

const FOLDER = fileURLToPath(new URL("../../../models/small-world/", import.meta.url));
const tokenizer = loadTokenizer(FOLDER);
let model: LocalModel;
let base: LocalSamplingClient;
let data: readonly Datum[];
beforeAll(async () => {
  model = await LocalModel.open(FOLDER, { threads: 1 });
  base = await model.sampler();
  data = await drawBaseSamples(base, tokenizer, { samples: 20, max_tokens: 12, temperature: 1, seed: 5 });
});
afterAll(() => model.close());

const start = (options: Partial<VllmOptions> = {}) => startVllm({ model: base, tokenizer, ...options });
const reference = (url: string, options: Partial<CompletionsServerOptions> = {}, k = 8) =>
  promptReference(
    completionsServer({
      url,
      model: "base",
      decode: (token) => tokenizer.decode([token], { specialTokens: true }),
      sleep: async () => undefined,
      ...options,
    }),
    { k, vocabSize: model.config.vocabSize },
  );

describe("the rows", () => {
  test.each(["vllm", "echo"] as const)(
    "%s: are the base's k likeliest tokens, of whole data and position by position",
    async (protocol) => {
      const { url } = await start();
      const asked = reference(`${url}/v1/`, { protocol });
      const whole = await base.distributions(data);
      const rows = await rowsOf(asked, data);
      for (const [i, found] of rows.entries()) {
        const expected = selectTopK(whole[i]!, 8);
        expect(found.tokens).toEqual(expected.tokens);
        for (const [j, x] of found.logprobs.data.entries()) expect(x).toBeCloseTo(expected.logprobs.data[j]!, 5);
        // What is not told is 1 − Σ.
        expect(found.tail).toBeUndefined();
      }
      const single = await positionByPosition(await asked.begin(data, newStep()), data, ({ tokens }) => tokens.data);
      expect(single).toEqual(rows.map(({ tokens }) => [...tokens.data]));
    },
  );

  test("sit where the data ask: rows may be few, and the last token of what is read has one too", async () => {
    const { url, requests } = await start();
    const datum = everyToken([0, 5, 9, 30, 31]);
    const some = (positions: number[]): Datum => ({
      ...datum,
      lossInputs: {
        target_tokens: { data: Int32Array.from(positions, () => 31), shape: [positions.length] },
        weights: { data: new Float32Array(positions.length).fill(1), shape: [positions.length] },
        positions: { data: Int32Array.from(positions), shape: [positions.length] },
      },
    });
    const asked = reference(url);
    for (const positions of [[1], [3, 0]]) {
      const [found] = await rowsOf(asked, [some(positions)]);
      const [whole] = await base.distributions([some(positions)]);
      expect(found!.tokens).toEqual(selectTopK(whole!, 8).tokens);
    }
    expect(requests.map(({ prompt }) => prompt)).toEqual([[[0, 5, 9, 30]], [[0, 5, 9, 30, 31]]]);
  });

  test("KL to the server is a lower bound of KL to the base, the nearer the more is known", async () => {
    const { url } = await start({ maxLogprobs: 1024 });
    const client = await model.trainingClient({ rank: 4, seed: 1 });
    const noise = [...client.parameters.values()];
    for (const { data } of noise) for (let i = 0; i < data.length; i++) data[i] = 0.1 * Math.sin(i);
    const p = await client.snapshots.take().distributions(data);
    const known = await base.distributions(data);
    const positions = data.reduce((sum, datum) => sum + rowCount(datum), 0);
    for (const direction of ["forward", "reverse"] as const) {
      const mean = (q: readonly Parameters<typeof klDivergence>[1][]) =>
        p.reduce((sum, p, i) => sum + klDivergence(p, q[i]!, { direction, reduction: "sum" }), 0) / positions;
      const bound = async (k: number) => mean(await rowsOf(reference(url, {}, k), data));
      const exact = mean(known);
      let last = 0;
      for (const k of [1, 8, 64]) {
        const found = await bound(k);
        expect(found).toBeGreaterThan(last);
        expect(found).toBeLessThanOrEqual(exact + 1e-4);
        last = found;
      }
      expect(last).toBeGreaterThan(0.8 * exact);
      expect(await bound(1024)).toBeCloseTo(exact, 3);
    }
    await client.close();
  });
});

describe("the requests", () => {
  test("carry token ids, eight prompts at most, some at once; each datum is asked about once", async () => {
    const { url, requests, busiest } = await start();
    const asked = reference(url, { concurrency: 2 });
    await asked.begin(data, newStep());
    await asked.begin([data[7]!, ...data.slice(0, 3)], newStep({ number: 2 }));
    const [first] = requests;
    expect(first).toMatchObject({ model: "base", max_tokens: 1, prompt_logprobs: 8, temperature: 1 });
    const prompts = requests.flatMap(({ prompt }) => prompt as number[][]);
    expect(prompts).toHaveLength(20);
    expect(requests.map(({ prompt }) => (prompt as number[][]).length).sort()).toEqual([4, 8, 8]);
    for (const [i, datum] of data.entries()) {
      const tokens = [...datum.modelInput, datum.lossInputs.target_tokens.data.at(-1)!];
      expect(prompts).toContainEqual(tokens);
      expect(rowCount(data[i]!)).toBe(tokens.length - 1);
    }
    expect(busiest()).toBe(2);
  });

  test("are sent again after 429, 5xx, a broken connection and a hang", async () => {
    const busy = { status: 429, body: { error: { message: "busy" } } };
    const broken = { status: 503, body: {} };
    const { url, requests } = await start({ instead: (n) => [busy, broken, "hang up", "hang"][n - 1] as typeof busy });
    const [rows] = await rowsOf(reference(url, { timeout: 300 }), data.slice(0, 1));
    expect(rows!.tokens.shape).toEqual([rowCount(data[0]!), 8]);
    expect(requests).toHaveLength(5);
  });

  test("end with the signal", async () => {
    const { url } = await start({ instead: () => "hang" });
    const controller = new AbortController();
    const waiting = reference(url).begin(data, newStep({ signal: controller.signal }));
    setTimeout(() => controller.abort("enough"), 50);
    await expect(waiting).rejects.toBe("enough");
  });
});

describe("errors say what to do", () => {
  const complaint = async (
    options: Partial<VllmOptions>,
    how: Partial<CompletionsServerOptions> = {},
    k = 8,
  ): Promise<string> => {
    const { url } = await start(options);
    const found = await reference(url, how, k)
      .begin(data, newStep())
      .catch((error: unknown) => error);
    expect(found).toBeInstanceOf(UserError);
    return (found as Error).message.replaceAll(url, "URL");
  };

  test("nobody there", async () => {
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    const found = reference(`http://127.0.0.1:${port}`).begin(data, newStep());
    await expect(found).rejects.toBeInstanceOf(UserError);
    await expect(found).rejects.toThrow(
      `no scores from http://127.0.0.1:${port}/v1 (connect ECONNREFUSED 127.0.0.1:${port}): is the server running, and is this its address?`,
    );
  });

  test("broken for good", async () => {
    expect(
      await complaint({ instead: () => ({ status: 500, body: { error: { message: "CUDA out of memory." } } }) }),
    ).toContain("no scores from URL/v1 (it answered 500 (CUDA out of memory))");
  });

  test("another model", async () => {
    expect(await complaint({ name: "teacher" })).toContain('URL/v1 has no model "base", it serves "teacher"');
  });

  test("no such API there", async () => {
    expect(await complaint({ instead: () => ({ status: 404, body: {} }) })).toContain(
      "URL/v1/completions does not exist there: give the address of an OpenAI-compatible server",
    );
    expect(await complaint({ spoil: () => ({ hello: "world" }) })).toContain(
      "URL/v1/completions answered with something other than completions (choices: Invalid input: expected array, received undefined): give the address of",
    );
    const page = createServer((_, response) => response.end("<html>Welcome</html>"));
    await once(page.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void page.close());
    const { port } = page.address() as AddressInfo;
    await expect(reference(`http://127.0.0.1:${port}`).begin(data.slice(0, 1), newStep())).rejects.toThrow(
      'answered with something other than completions ("<html>Welcome</html>"): give the address of an OpenAI-compatible server, up to /v1',
    );
    expect(() => reference("localhost:8000")).toThrow(
      'url is "localhost:8000", expected the address of a server, such as http://127.0.0.1:8000',
    );
  });

  test("a key", async () => {
    expect(await complaint({ apiKey: "right" }, { apiKey: "wrong" })).toContain(
      "URL/v1 answered 401 (Unauthorized): check the API key",
    );
    const { url } = await start({ apiKey: "right" });
    await reference(url, { apiKey: "right" }).begin(data.slice(0, 1), newStep());
  });

  test("k beyond the limit, refused or cut", async () => {
    expect(await complaint({}, {}, 21)).toContain(
      "URL/v1 answered 400 (Requested prompt logprobs of 21, which is greater than max allowed: 20): k is 21, lower it, or start vLLM with --max-logprobs 21",
    );
    const cut = (body: Record<string, unknown>) => ({
      ...body,
      choices: (body.choices as { prompt_logprobs: (object | null)[] }[]).map((choice) => ({
        ...choice,
        prompt_logprobs: choice.prompt_logprobs.map(
          (place) => place && Object.fromEntries(Object.entries(place).slice(0, 5)),
        ),
      })),
    });
    expect(await complaint({ spoil: cut })).toContain(
      "URL/v1 returned 5 tokens at position 1 of a prompt, k is 8: lower k",
    );
  });

  test("another tokenizer", async () => {
    const shifted = {
      decode: (tokens: ArrayLike<number>) =>
        tokenizer.decode([(Array.from(tokens)[0]! + 1) % 1024], { specialTokens: true }),
    };
    expect(await complaint({ tokenizer: shifted })).toMatch(
      /base at URL\/v1 has another tokenizer: token \d+ is ".+" there and ".+" here/,
    );
    const { url } = await start();
    const small = promptReference(completionsServer({ url, model: "base" }), { k: 8, vocabSize: 100 });
    await expect(small.begin(data, newStep())).rejects.toThrow(
      /datum 0 \(base sample 1\): the reference returned token \d+, this model's vocabulary has 100/,
    );
  });

  test("filters", async () => {
    for (const impossible of [-9999, null]) {
      expect(await complaint({ filtered: 3, impossible })).toMatch(
        /URL\/v1 returned only 3 possible tokens of 8 at position 1 of a prompt: it filters \(top-p, top-k or min-p\), switch that off/,
      );
    }
  });

  test("a temperature, told apart from another model by the base", async () => {
    const { url } = await start({ temperature: 1.5 });
    const tempered = checkTemperature(reference(url), base);
    await expect(tempered.begin(data, newStep())).rejects.toThrow(
      /datum 0 \(base sample 1\): it is the base's own distribution at temperature 1.5: ask for log-probabilities at temperature 1$/,
    );
    const client = await model.trainingClient({ rank: 4, seed: 1 });
    for (const { data } of client.parameters.values())
      for (let i = 0; i < data.length; i++) data[i] = 0.1 * Math.sin(i);
    const other = await start({ model: client.snapshots.take() });
    const found = await rowsOf(checkTemperature(reference(other.url), base), data);
    expect(found).toHaveLength(20);
    const same = await start();
    await checkTemperature(reference(same.url), base).begin(data, newStep());
    await client.close();
  });

  test("the other protocol", async () => {
    const plain = (body: Record<string, unknown>) => ({
      ...body,
      choices: (body.choices as object[]).map((choice) => ({ ...choice, prompt_logprobs: null, logprobs: null })),
    });
    expect(await complaint({ spoil: plain })).toContain(
      "answered without prompt_logprobs, which vLLM sends: for a server",
    );
    expect(await complaint({ spoil: plain }, { protocol: "echo" })).toContain(
      "does not score prompts by echo and logprobs; with vLLM, set protocol: vllm",
    );
  });

  test("prompts tokenized again", async () => {
    const short = (body: Record<string, unknown>) => ({
      ...body,
      choices: (body.choices as { prompt_logprobs: unknown[] }[]).map((choice) => ({
        ...choice,
        prompt_logprobs: choice.prompt_logprobs.slice(1),
      })),
    });
    expect(await complaint({ spoil: short })).toMatch(
      /URL\/v1 scored \d+ tokens of a prompt of \d+: use a server that accepts token ids as they are/,
    );
  });
});
