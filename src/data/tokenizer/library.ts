import * as parts from "@huggingface/tokenizers";

/** The parts of the library that klamp builds on; its own types cannot be resolved from an ES module. */
interface Parts {
  readonly BPE: new (
    definition: object,
  ) => {
    readonly tokens_to_ids: ReadonlyMap<string, number>;
    /** The pieces that merging leaves of a word; joined, they are the word. */
    bpe(word: string): readonly string[];
  };
  readonly Unigram: new (definition: object, eos: string) => { readonly trie: { readonly root: TrieNode } };
  readonly SplitPreTokenizer: new (definition: object) => { readonly pattern: RegExp | null };
}

/** A node of a trie over code points. */
export interface TrieNode {
  readonly is_leaf: boolean;
  readonly children: ReadonlyMap<string, TrieNode>;
}

export const { BPE, Unigram, SplitPreTokenizer } = parts as unknown as Parts;
