import { create, createFileRegistry, type DescMessage } from "@bufbuild/protobuf";
import {
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  MessageOptionsSchema,
} from "@bufbuild/protobuf/wkt";

/**
 * The wire's messages as a protobuf schema, for a second, independent codec: protobuf's own reflection.
 * `name number type`, where `type*` repeats, `type?` is optional, `map:type` maps from strings.
 */
const MESSAGES: Readonly<Record<string, string>> = {
  ForwardBackwardRequest:
    "model_id 1 string, seq_id 2 int32, data 3 Datum*, loss_fn 4 string, loss_fn_config 5 map:double, forward_only 6 bool",
  Datum: "model_input 1 Chunk*, loss_fn_inputs 2 map:Tensor",
  Chunk: "encoded_text 1 EncodedTextChunk, image 2 ImageChunk",
  EncodedTextChunk: "tokens 1 bytes",
  ImageChunk: "data 1 bytes, format 2 string, expected_tokens 3 int32",
  Tensor: "dense 1 bytes, sparse_csr 2 SparseCsr, dtype 3 DType, shape 4 int64*",
  SparseCsr: "values 1 bytes, crow_indices 2 bytes, col_indices 3 bytes",
  ForwardBackwardOutput: "loss_fn_output_type 1 string, loss_fn_outputs 2 ArrayRecord*, metrics 3 map:double",
  ArrayRecord: "type_tag 1 string, fields 2 map:BatchedTensor, num_datums 3 int64",
  BatchedTensor: "data 1 bytes, offsets 2 bytes, dtype 3 DType, trailing_shape 4 int64*",
  SampleResponse:
    "sequences 1 SampledSequence*, prompt_logprobs 2 bytes?, topk_prompt_logprobs 3 TopkPromptLogprobs, prompt_cache_hit_tokens 4 int32",
  SampledSequence: "stop_reason 1 StopReason, tokens 2 bytes, logprobs 3 bytes?",
  TopkPromptLogprobs: "token_ids 1 bytes, logprobs 2 bytes, k 3 uint32, prompt_length 4 uint32",
};

const ENUMS: Readonly<Record<string, readonly string[]>> = {
  StopReason: ["STOP", "LENGTH"],
  DType: ["UNSPECIFIED", "FLOAT32", "INT64", "INT32", "BFLOAT16"],
};

const SCALARS: Readonly<Record<string, FieldDescriptorProto_Type>> = {
  string: FieldDescriptorProto_Type.STRING,
  bytes: FieldDescriptorProto_Type.BYTES,
  bool: FieldDescriptorProto_Type.BOOL,
  double: FieldDescriptorProto_Type.DOUBLE,
  int32: FieldDescriptorProto_Type.INT32,
  uint32: FieldDescriptorProto_Type.UINT32,
  int64: FieldDescriptorProto_Type.INT64,
};

const entryName = (name: string) =>
  `${name
    .split("_")
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join("")}Entry`;

function field(owner: string, text: string) {
  const [name = "", number, kind = ""] = text.trim().split(" ");
  const isMap = kind.startsWith("map:");
  const type = kind.replace(/[*?]$/, "");
  const named = isMap ? `.klamp_test.${owner}.${entryName(name)}` : `.klamp_test.${type}`;
  const scalar = isMap ? undefined : SCALARS[type];
  const kindOfNamed = type in ENUMS ? FieldDescriptorProto_Type.ENUM : FieldDescriptorProto_Type.MESSAGE;
  return create(FieldDescriptorProtoSchema, {
    name,
    number: Number(number),
    label: isMap || kind.endsWith("*") ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL,
    type: scalar ?? kindOfNamed,
    ...(scalar === undefined && { typeName: named }),
    ...(kind.endsWith("?") && { proto3Optional: true, oneofIndex: 0 }),
  });
}

const file = create(FileDescriptorProtoSchema, {
  name: "wire.proto",
  package: "klamp_test",
  syntax: "proto3",
  messageType: Object.entries(MESSAGES).map(([name, text]) => {
    const maps = text.split(",").filter((part) => part.includes("map:"));
    return create(DescriptorProtoSchema, {
      name,
      field: text.split(",").map((part) => field(name, part)),
      oneofDecl: text.includes("?") ? [{ name: "_optional" }] : [],
      nestedType: maps.map((part) =>
        create(DescriptorProtoSchema, {
          name: entryName(part.trim().split(" ")[0]!),
          field: [field(name, "key 1 string"), field(name, `value 2 ${part.split("map:")[1]!.trim()}`)],
          options: create(MessageOptionsSchema, { mapEntry: true }),
        }),
      ),
    });
  }),
  enumType: Object.entries(ENUMS).map(([name, values]) =>
    create(EnumDescriptorProtoSchema, {
      name,
      value: values.map((value, number) => ({ name: `${name}_${value}`, number })),
    }),
  ),
});

const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));

/** The schema of one message of the wire. */
export function schemaOf(name: string): DescMessage {
  const schema = registry.getMessage(`klamp_test.${name}`);
  if (!schema) throw new Error(`no message ${name}`);
  return schema;
}
