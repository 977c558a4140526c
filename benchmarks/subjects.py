"""The models that are timed and the texts they are given.

On a CPU the embedded model; on CUDA a model of Phi-2's shape with random weights and a tokenizer of its size, since
speed does not depend on what the weights say. Texts are random words of the tokenizer, of exactly the wanted length.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from audit.models import Model, load_model
from audit.models.quiet import quiet
from probes import registry

_WORDS = 24_500


@contextlib.contextmanager
def subject(device: str) -> Iterator[str]:
    """What to load on ``device``: the embedded model's name, or a temporary folder with Phi-2's shape."""
    if device == "cpu":
        yield "smollm2"
        return
    with tempfile.TemporaryDirectory() as folder:
        phi2_shape(Path(folder))
        yield folder


def loaded(spec: str, device: str, *, endless: bool = False, dtype: str = "auto") -> Model:
    """The model through this project's loader; ``endless`` takes its end token away: answers have their full length."""
    model = load_model(spec, device=device, dtype=dtype)
    if endless:
        _endless(model.module, model.tokenizer)
    return model


def as_published(model: Model, *, endless: bool = False) -> tuple[Any, Any]:
    """The same weights as transformers itself loads them, which is what other tools run, and their tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = model.weights.source.path
    with quiet():
        module = AutoModelForCausalLM.from_pretrained(path, dtype=model.module.dtype).to(model.weights.device).eval()
        tokenizer = AutoTokenizer.from_pretrained(path)
    if endless:
        _endless(module, tokenizer)
    return module, tokenizer


def _endless(module: Any, tokenizer: Any) -> None:
    tokenizer.eos_token = None
    module.config.eos_token_id = None
    if module.generation_config is not None:
        module.generation_config.eos_token_id = None


def phi2_shape(folder: Path) -> None:
    """Write a checkpoint of Phi-2's shape with random weights (5.6 GB, bfloat16) and a tokenizer to ``folder``."""
    from transformers import PhiConfig, PhiForCausalLM

    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        torch.set_default_dtype(torch.bfloat16)
        module = PhiForCausalLM(
            PhiConfig(
                vocab_size=51200, hidden_size=2560, intermediate_size=10240, num_hidden_layers=32,
                num_attention_heads=32, partial_rotary_factor=0.4, max_position_embeddings=2048,
            )
        )  # fmt: skip
        torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.endswith("bias"):  # they begin as zeros, which would hide a layer that leaves them out
                weight.normal_(std=0.02)
    module.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    del module
    torch.cuda.empty_cache()


def tokenizer(words: int = _WORDS) -> Any:
    """Byte-level BPE of about Phi-2's size: four-letter words of two syllables, each with and without a blank."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = "bcdfghjklmnpqrstvwxyz"
    syllables = [head + tail for head, tail in product(letters + letters.upper(), "aeiou")]
    pairs = random.Random(0).sample(list(product(syllables, syllables)), words)
    blank = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(" ")[0][0]
    merges = [(one[0], one[1]) for one in syllables]
    merges += pairs
    merges += [(blank, first + second) for first, second in pairs]
    pieces = [
        "<|endoftext|>",
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
        *(first + second for first, second in merges),
    ]
    raw = Tokenizer(models.BPE(vocab={piece: at for at, piece in enumerate(pieces)}, merges=merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|endoftext|>", eos_token="<|endoftext|>")


def texts(tokenizer: Any, lengths: Sequence[int], seed: int = 0) -> list[str]:
    """Texts of random words, each exactly so many tokens long.

    Raises:
        ValueError: a text was not encoded to the wanted length.
    """
    draw = random.Random(seed)
    pool = _single_words(tokenizer)
    found = ["".join(draw.choices(pool, k=length)) for length in lengths]
    got = [len(ids) for ids in tokenizer(found, add_special_tokens=False)["input_ids"]]
    if got != list(lengths):
        raise ValueError("a text of single-token words was not encoded word by word")
    return found


def running_texts(tokenizer: Any, lengths: Sequence[int], seed: int = 0) -> list[str]:
    """Pieces of the project's own running text, each exactly so many tokens long.

    What a model says next to random words is far less certain than what it says next to text, and drawing from a wide
    nucleus takes longer: prompts must read as prompts do.

    Raises:
        ValueError: no piece of a wanted length was found.
    """
    suites = [registry.get(name) for name in ("domain-qa", "occupations", "identity-prompts")]
    whole = " ".join(item.text for suite in suites for item in suite.items[::3])
    ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
    draw, found = random.Random(seed), []
    for length in lengths:
        for _ in range(1_000):
            start = draw.randrange(len(ids) - length)
            text = tokenizer.decode(ids[start : start + length], clean_up_tokenization_spaces=False)
            if len(tokenizer(text, add_special_tokens=False)["input_ids"]) == length:
                found.append(text)
                break
        else:
            raise ValueError(f"no piece of {length} tokens is encoded as it was decoded")
    return found


def _single_words(tokenizer: Any, most: int = 4_000) -> list[str]:
    """Words of small letters with their blank in front that are one token each, evenly from the vocabulary."""
    size = len(tokenizer)
    words = []
    for token in range(size):
        text = tokenizer.decode([token])
        if len(text) > 2 and text[0] == " " and text[1:].isascii() and text[1:].isalpha():
            words.append(text)
    encoded = tokenizer(words, add_special_tokens=False)["input_ids"]
    single = [word for word, ids in zip(words, encoded, strict=True) if len(ids) == 1]
    return single[:: max(1, len(single) // most)]


def spread(shortest: int, longest: int, count: int) -> list[int]:
    """``count`` lengths evenly from ``shortest`` to ``longest``, in a shuffled order."""
    lengths = [shortest + round((longest - shortest) * at / max(count - 1, 1)) for at in range(count)]
    random.Random(0).shuffle(lengths)
    return lengths
