"""Answers questions about models, adapters, tokenizers and chat templates with transformers and PEFT: JSON lines in and out.

Each line in is {"ask": NAME, ...}, each line out {"answer": ...} or {"error": "..."}. Log-probabilities are computed in float64
on the CPU, so that what differs is klamp's: of a vocabulary of 262,144 float32 alone is off by 2.6e-4.
"""

import json
import runpy
import sys
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

FIXTURES = Path(__file__).parents[2] / "scripts" / "fixtures"


@lru_cache(maxsize=1)
def base(folder: str, dtype=torch.float64):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


@lru_cache(maxsize=4)
def tokenizer(folder: str):
    return AutoTokenizer.from_pretrained(folder)


def with_adapter(folder: str, adapter: str | None):
    if adapter is None:
        return base(folder)
    fresh = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    return PeftModel.from_pretrained(fresh, adapter, autocast_adapter_dtype=False).eval().double()


def encode(folder: str, texts: list) -> list:
    return [tokenizer(folder)(text, add_special_tokens=False)["input_ids"] for text in texts]


def decode(folder: str, ids: list) -> list:
    return [tokenizer(folder).decode(each, clean_up_tokenization_spaces=False) for each in ids]


def hostile_texts(seed: int, count: int) -> list:
    return runpy.run_path(str(FIXTURES / "tokenizers.py"))["hostile"](seed, count)


def chats(folder: str, conversations: list, template: str | None = None) -> list:
    """Of each conversation what `apply_chat_template` writes, its token ids, and which of them the assistant says: those
    that hold something of what a turn adds to the conversation before it with the generation prompt. Null where it raises."""
    return [said(tokenizer(folder), messages, template) for messages in conversations]


def said(tokens, messages: list, template: str | None) -> dict | None:
    def written(count: int, prompt: bool) -> str:
        options = {"chat_template": template, "tokenize": False, "add_generation_prompt": prompt}
        return tokens.apply_chat_template(messages[:count], **options)

    try:
        text = written(len(messages), messages[-1]["role"] != "assistant")
        turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        prefixes = [(written(i, True), written(i + 1, False)) for i in turns]
    except Exception:
        return None
    if not all(text.startswith(given) and text.startswith(through) for given, through in prefixes):
        raise ValueError("the template writes turns differently once later ones are there")
    stretches = [(len(given), len(through)) for given, through in prefixes]
    found = tokens(text, add_special_tokens=False, return_offsets_mapping=True)
    learned = [int(any(start < to and end > at for at, to in stretches)) for start, end in found["offset_mapping"]]
    return {"text": text, "ids": found["input_ids"], "learned": learned}


def public_templates() -> dict:
    """The Jinja2 templates that installed packages carry, by their paths."""
    packages = Path(transformers.__file__).parents[1]
    return {str(path.relative_to(packages)): path.read_text(encoding="utf-8") for path in sorted(packages.rglob("*.jinja"))}


def render(template: str, files: list, special_tokens: dict, now: str) -> list:
    """Of each conversation of the files, without and with the generation prompt, the text and the stretches in it that
    the template marks as generated; null where it raises."""
    made = []
    for path, prompt in [(path, prompt) for path in files for prompt in (False, True)]:
        for conversation in json.loads(Path(path).read_text(encoding="utf-8"))["conversations"].values():
            now_as = datetime.fromisoformat(now).strftime
            variables = {**special_tokens, "strftime_now": now_as, **conversation.pop("chat_template_kwargs", {})}
            options = {"chat_template": template, "add_generation_prompt": prompt, "return_assistant_tokens_mask": True}
            try:
                texts, marks = render_jinja_template([conversation.pop("messages")], **options, **conversation, **variables)
                made.append({"text": texts[0], "marks": marks[0]})
            except Exception:
                made.append(None)
    return made


def logprobs(folder: str, sequences: list, adapter: str | None = None) -> list:
    """log p of each token after the first, of each sequence."""
    model = with_adapter(folder, adapter)
    found = []
    with torch.no_grad():
        for ids in sequences:
            tokens = torch.tensor([ids])
            scores = model(input_ids=tokens[:, :-1]).logits.log_softmax(-1)
            found.append(scores.gather(-1, tokens[:, 1:, None])[0, :, 0].tolist())
    return found


def greedy(folder: str, prompts: list, max_new_tokens: int) -> list:
    """Tokens that follow each prompt, and by how much each was ahead of the second; all prompts in one batch."""
    width = max(len(ids) for ids in prompts)
    tokens = torch.tensor([[0] * (width - len(ids)) + ids for ids in prompts])
    mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts])
    out = base(folder, torch.float32).generate(
        tokens, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=None, pad_token_id=0,
        return_dict_in_generate=True, output_logits=True,
    )
    margins = torch.stack([each.topk(2).values.diff().abs()[:, 0] for each in out.logits], 1)
    return [{"tokens": ids[width:].tolist(), "margins": each.tolist()} for ids, each in zip(out.sequences, margins)]


def make_adapter(folder: str, to: str, settings: dict, seed: int) -> None:
    """An adapter whose B is not zero."""
    torch.manual_seed(seed)
    fresh = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = get_peft_model(fresh, LoraConfig(**{"task_type": "CAUSAL_LM", **settings}))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape) * 0.02)
    model.save_pretrained(to)


ASKED = {each.__name__: each for each in (encode, decode, hostile_texts, chats, public_templates, render, logprobs, greedy, make_adapter)}


def main() -> None:
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"answer": ASKED[question.pop("ask")](**question)}
        except Exception as error:  # what went wrong is the answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(json.dumps({name: sys.modules[name].__version__ for name in ("torch", "transformers")}), flush=True)
    main()
