/** The files of the base's folder, weights aside: tokenizer, chat template, shape. */
import { type Bpe, piecePattern, trainBpe } from "./bpe.ts";
import { corpusDocuments, seeds } from "./corpus.ts";

const BOS = "<|bos|>";
const EOS = "<|eos|>";
const PAD = "<|pad|>";
const SPECIAL = [BOS, EOS, PAD];
const VOCABULARY = 1024;
const SAMPLE = 60_000;

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };

const tokenizer = ({ vocabulary, merges }: Bpe) => ({
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: SPECIAL.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: null,
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: piecePattern }, behavior: "Isolated", invert: false },
      byteLevel,
    ],
  },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: BOS, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [
      { SpecialToken: { id: BOS, type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { Sequence: { id: "B", type_id: 0 } },
    ],
    special_tokens: { [BOS]: { id: BOS, ids: [0], tokens: [BOS] } },
  },
  decoder: byteLevel,
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
    merges: merges.map((pair) => pair.join(" ")),
  },
});

/** BOS, then `Q: …\\nA: …` and EOS for each question and answer; the generation prompt is `A:`. */
const chatTemplate =
  "{{- bos_token }}{% for message in messages %}" +
  "{%- if message['role'] == 'user' %}{{- 'Q: ' + message['content'] + '\\n' }}" +
  "{%- elif message['role'] == 'assistant' %}{{- 'A: ' + message['content'] + eos_token }}" +
  "{%- else %}{{- message['content'] + '\\n' }}{%- endif %}{%- endfor %}" +
  "{%- if add_generation_prompt %}{{- 'A:' }}{%- endif %}";

const tokenizerConfig = {
  tokenizer_class: "PreTrainedTokenizerFast",
  add_bos_token: true,
  add_eos_token: false,
  bos_token: BOS,
  eos_token: EOS,
  pad_token: PAD,
  model_max_length: 256,
  clean_up_tokenization_spaces: false,
  chat_template: chatTemplate,
};

const config = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: VOCABULARY,
  hidden_size: 128,
  intermediate_size: 384,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  hidden_act: "silu",
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000.0,
  rope_scaling: null,
  attention_bias: false,
  attention_dropout: 0.0,
  mlp_bias: false,
  tie_word_embeddings: true,
  initializer_range: 0.02,
  bos_token_id: 0,
  eos_token_id: 1,
  pad_token_id: 2,
  dtype: "float16",
  torch_dtype: "float16",
  use_cache: true,
};

const generationConfig = { bos_token_id: 0, eos_token_id: 1, pad_token_id: 2, do_sample: false, max_new_tokens: 48 };

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

/** File name → content. */
export function modelFiles(): Map<string, string> {
  const texts = corpusDocuments(seeds.tokenizer, SAMPLE).map(({ prompt, completion }) => prompt + completion);
  return new Map([
    ["tokenizer.json", json(tokenizer(trainBpe(texts, VOCABULARY, SPECIAL)))],
    ["tokenizer_config.json", json(tokenizerConfig)],
    ["config.json", json(config)],
    ["generation_config.json", json(generationConfig)],
  ]);
}
