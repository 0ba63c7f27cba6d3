import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeForwardBackwardOutput,
  decodeForwardBackwardRequest,
  encodeForwardBackwardOutput,
  encodeForwardBackwardRequest,
} from "../../../src/engine/tinker/wire/forward-backward.ts";
import { decodeSampleResponse, encodeSampleResponse } from "../../../src/engine/tinker/wire/sample.ts";
import { bytesOf, decodeTensor, encodeTensor, type WireTensor } from "../../../src/engine/tinker/wire/tensor.ts";
import { schemaOf } from "./schema.ts";

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
const ofFloats = (...numbers: number[]) => base64(bytesOf(Float32Array.from(numbers)));
const ofIntegers = (...numbers: number[]) => base64(bytesOf(Int32Array.from(numbers)));
const ofLongs = (...numbers: number[]) => base64(bytesOf(BigInt64Array.from(numbers, BigInt)));
/** What another protobuf implementation sends for `json`, and how it reads `bytes`. */
const theirs = (name: string, json: JsonValue) => toBinary(schemaOf(name), fromJson(schemaOf(name), json));
const asTheyRead = (name: string, bytes: Uint8Array) =>
  toJson(schemaOf(name), fromBinary(schemaOf(name), bytes), { useProtoFieldName: true });

const float = fc.float({ noDefaultInfinity: false });
const tensorArbitrary: fc.Arbitrary<WireTensor> = fc
  .tuple(
    fc.nat({ max: 4 }),
    fc.integer({ min: 1, max: 3 }),
    fc.boolean(),
    fc.array(float, { minLength: 12, maxLength: 12 }),
    fc.array(fc.integer(), { minLength: 12, maxLength: 12 }),
  )
  .map(([rows, columns, isFloat, floats, integers]) => {
    const shape = columns === 1 ? [rows] : [rows, columns];
    const size = rows * columns;
    return isFloat
      ? { data: Float32Array.from(floats.slice(0, size)), shape }
      : { data: Int32Array.from(integers.slice(0, size)), shape };
  });
const name = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => text !== "__proto__");
const request = fc.record({
  model_id: fc.string(),
  seq_id: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  data: fc.array(
    fc.record({
      tokens: fc.array(fc.integer()).map((tokens) => Int32Array.from(tokens)),
      lossInputs: fc.dictionary(name, tensorArbitrary, { noNullPrototype: true }),
    }),
    { maxLength: 3 },
  ),
  loss_fn: fc.string(),
  loss_fn_config: fc.dictionary(name, fc.double(), { noNullPrototype: true }),
  forward_only: fc.boolean(),
});

describe("a message survives the wire", () => {
  it("ForwardBackwardRequest", () => {
    fc.assert(
      fc.property(request, (sent) => {
        expect(decodeForwardBackwardRequest(encodeForwardBackwardRequest(sent))).toEqual(sent);
      }),
    );
  });

  it("ForwardBackwardOutput, with shapes of each datum's own", () => {
    const output = fc.record({
      outputs: fc.array(fc.dictionary(name, tensorArbitrary, { noNullPrototype: true }), { maxLength: 4 }),
      metrics: fc.dictionary(name, fc.double(), { noNullPrototype: true }),
    });
    fc.assert(
      fc.property(output, (sent) => {
        expect(decodeForwardBackwardOutput(encodeForwardBackwardOutput(sent))).toEqual(sent);
      }),
    );
  });

  it("SampleResponse", () => {
    const floats = fc.array(float, { maxLength: 5 }).map((numbers) => Float32Array.from(numbers));
    const integers = fc.array(fc.integer(), { maxLength: 5 }).map((numbers) => Int32Array.from(numbers));
    const sequence = fc.record({
      tokens: integers,
      logprobs: floats,
      stop_reason: fc.constantFrom("stop" as const, "length" as const),
    });
    const topk = fc.record({ token_ids: integers, logprobs: floats, k: fc.nat(), prompt_length: fc.nat() });
    const response = fc
      .record({ sequences: fc.array(sequence, { maxLength: 3 }) })
      .chain((base) =>
        fc
          .record({ prompt_logprobs: floats, topk_prompt_logprobs: topk }, { requiredKeys: [] })
          .map((more) => ({ ...base, ...more })),
      );
    fc.assert(
      fc.property(response, (sent) => {
        expect(decodeSampleResponse(encodeSampleResponse(sent))).toEqual(sent);
      }),
    );
  });
});

describe("another protobuf implementation reads what is written", () => {
  it("ForwardBackwardRequest", () => {
    const lossInputs = {
      target_tokens: { data: Int32Array.of(4, 5), shape: [2] },
      weights: { data: Float32Array.of(0, 1), shape: [2] },
    };
    const bytes = encodeForwardBackwardRequest({
      model_id: "m",
      seq_id: 3,
      data: [{ tokens: Int32Array.of(1, 2), lossInputs }],
      loss_fn: "cross_entropy",
      loss_fn_config: { beta: 0.5 },
      forward_only: true,
    });
    expect(asTheyRead("ForwardBackwardRequest", bytes)).toEqual({
      model_id: "m",
      seq_id: 3,
      data: [
        {
          model_input: [{ encoded_text: { tokens: ofIntegers(1, 2) } }],
          loss_fn_inputs: {
            target_tokens: { dense: ofLongs(4, 5), dtype: "DType_INT64", shape: ["2"] },
            weights: { dense: ofFloats(0, 1), dtype: "DType_FLOAT32", shape: ["2"] },
          },
        },
      ],
      loss_fn: "cross_entropy",
      loss_fn_config: { beta: 0.5 },
      forward_only: true,
    });
  });

  it("ForwardBackwardOutput", () => {
    const outputs = [{ logprobs: { data: Float32Array.of(-1, -2, -3, -4), shape: [2, 2] } }];
    expect(
      asTheyRead("ForwardBackwardOutput", encodeForwardBackwardOutput({ outputs, metrics: { "loss:sum": 2 } })),
    ).toEqual({
      loss_fn_output_type: "ArrayRecord",
      loss_fn_outputs: [
        {
          fields: {
            logprobs: {
              data: ofFloats(-1, -2, -3, -4),
              offsets: ofLongs(0, 16),
              dtype: "DType_FLOAT32",
              trailing_shape: ["2"],
            },
          },
          num_datums: "1",
        },
      ],
      metrics: { "loss:sum": 2 },
    });
  });

  it("SampleResponse", () => {
    const bytes = encodeSampleResponse({
      sequences: [{ tokens: Int32Array.of(7), logprobs: Float32Array.of(-0.5), stop_reason: "length" }],
      prompt_logprobs: Float32Array.of(Number.NaN, -1),
      topk_prompt_logprobs: {
        token_ids: Int32Array.of(0, 3),
        logprobs: Float32Array.of(-99999, -1),
        k: 1,
        prompt_length: 2,
      },
    });
    expect(asTheyRead("SampleResponse", bytes)).toEqual({
      sequences: [{ stop_reason: "StopReason_LENGTH", tokens: ofIntegers(7), logprobs: ofFloats(-0.5) }],
      prompt_logprobs: ofFloats(Number.NaN, -1),
      topk_prompt_logprobs: { token_ids: ofIntegers(0, 3), logprobs: ofFloats(-99999, -1), k: 1, prompt_length: 2 },
    });
  });
});

describe("what another protobuf implementation writes is read", () => {
  it("text in several chunks becomes one input", () => {
    const bytes = theirs("ForwardBackwardRequest", {
      data: [
        { model_input: [{ encoded_text: { tokens: ofIntegers(1, 2) } }, { encoded_text: { tokens: ofIntegers(3) } }] },
      ],
    });
    expect(decodeForwardBackwardRequest(bytes).data[0]!.tokens).toEqual(Int32Array.of(1, 2, 3));
  });

  it("an image is refused", () => {
    const bytes = theirs("ForwardBackwardRequest", { data: [{ model_input: [{ image: { format: "png" } }] }] });
    expect(() => decodeForwardBackwardRequest(bytes)).toThrow(/image.*expected encoded_text/);
  });

  it("a record of several datums, of a trailing shape, in bfloat16", () => {
    const half = base64(new Uint8Array(Uint16Array.of(0xbf80, 0xc000, 0x3f80, 0).buffer)); // −1, −2, 1, 0
    const bytes = theirs("ForwardBackwardOutput", {
      loss_fn_outputs: [
        {
          fields: {
            logprobs: { data: half, offsets: ofLongs(0, 4, 8), dtype: "DType_BFLOAT16", trailing_shape: ["2"] },
          },
          num_datums: "2",
        },
        { num_datums: "1" },
      ],
    });
    expect(decodeForwardBackwardOutput(bytes).outputs).toEqual([
      { logprobs: { data: Float32Array.of(-1, -2), shape: [1, 2] } },
      { logprobs: { data: Float32Array.of(1, 0), shape: [1, 2] } },
      {},
    ]);
  });

  it("a sequence without log-probabilities has NaN for them; unknown fields do no harm", () => {
    const bytes = theirs("SampleResponse", { sequences: [{ tokens: ofIntegers(7, 8) }], prompt_cache_hit_tokens: 5 });
    expect(decodeSampleResponse(bytes)).toEqual({
      sequences: [
        { tokens: Int32Array.of(7, 8), logprobs: Float32Array.of(Number.NaN, Number.NaN), stop_reason: "stop" },
      ],
    });
  });

  it("sparse rows: cells that are not named are 0", () => {
    const csr = { values: ofFloats(5, 6, 7), crow_indices: ofLongs(0, 1, 1, 3), col_indices: ofLongs(2, 0, 3) };
    const bytes = theirs("Tensor", { sparse_csr: csr, dtype: "DType_FLOAT32", shape: ["3", "4"] });
    expect(decodeTensor(bytes)).toEqual({ data: Float32Array.of(0, 0, 5, 0, 0, 0, 0, 0, 6, 0, 0, 7), shape: [3, 4] });
    const integers = { values: ofLongs(9), crow_indices: ofLongs(0, 1), col_indices: ofLongs(1) };
    expect(decodeTensor(theirs("Tensor", { sparse_csr: integers, dtype: "DType_INT64", shape: ["1", "2"] }))).toEqual({
      data: Int32Array.of(0, 9),
      shape: [1, 2],
    });
  });

  it.each([
    [
      "a column that is not there",
      { values: ofFloats(5), crow_indices: ofLongs(0, 1), col_indices: ofLongs(4) },
      ["1", "4"],
      /column 4 of 4/,
    ],
    [
      "too few row starts",
      { values: ofFloats(5), crow_indices: ofLongs(0, 1), col_indices: ofLongs(0) },
      ["2", "4"],
      /do not fit together/,
    ],
    ["a size without end", { crow_indices: ofLongs(0) }, ["1000000", "1000000"], /at most/],
    [
      "one axis",
      { values: ofFloats(5), crow_indices: ofLongs(0, 1), col_indices: ofLongs(0) },
      ["4"],
      /expected \[rows, columns\]/,
    ],
  ])("sparse rows with %s are refused", (_, sparse_csr, shape, message) => {
    expect(() => decodeTensor(theirs("Tensor", { sparse_csr, dtype: "DType_FLOAT32", shape }))).toThrow(message);
  });

  it("a shape that does not fit, half a number, or an id beyond 32 bits is refused", () => {
    expect(() => decodeTensor(theirs("Tensor", { dense: ofFloats(1), dtype: "DType_FLOAT32", shape: ["2"] }))).toThrow(
      /\[2\] holds 2 numbers, found 1/,
    );
    expect(() =>
      decodeTensor(theirs("Tensor", { dense: base64(Uint8Array.of(1, 2)), dtype: "DType_FLOAT32" })),
    ).toThrow(/whole numbers/);
    expect(() => decodeTensor(theirs("Tensor", { dense: ofLongs(2 ** 40), dtype: "DType_INT64" }))).toThrow(
      /1099511627776/,
    );
    expect(() => decodeTensor(theirs("Tensor", { dense: ofFloats(1) }))).toThrow(/unknown dtype 0/);
  });

  it("a tensor without a shape has one axis", () => {
    expect(decodeTensor(theirs("Tensor", { dense: ofLongs(3, 4), dtype: "DType_INT64" }))).toEqual({
      data: Int32Array.of(3, 4),
      shape: [2],
    });
    expect(decodeTensor(encodeTensor({ data: new Float32Array(0), shape: [0] })).data).toHaveLength(0);
  });
});
