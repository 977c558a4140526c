"""A tiny random Phi with a real tokenizer: every path of the models package runs on it in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PhiConfig, PhiForCausalLM, PreTrainedTokenizerFast

from audit.models import Model, load_model

TEXTS = [
    "The nurse said that she would come back in the morning.",
    "The mechanic said that he would look at the car again.",
    "People in the city like to walk in the park on Sundays.",
    "A question is asked and an answer is given, or none.",
]


def tokenizer(vocabulary: int = 300) -> PreTrainedTokenizerFast:
    """Byte-level BPE as Phi-2 has it: end-of-text and nothing else, no pad, no BOS put in front."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    raw.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|endoftext|>", eos_token="<|endoftext|>")


def phi(rows: int, **changes: Any) -> PhiForCausalLM:
    """Phi-2 in miniature: partial rotary embedding, parallel attention and MLP, biases, an untied head."""
    torch.manual_seed(0)
    config = PhiConfig(
        vocab_size=rows, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        partial_rotary_factor=0.4, max_position_embeddings=128, bos_token_id=0, eos_token_id=0, pad_token_id=None,
        **changes,
    )  # fmt: skip
    model = PhiForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # The default initialisation is so small that every continuation would look alike.
            parameter.add_(torch.randn_like(parameter) * 0.08)
    return model


def save(folder: Path, model: PhiForCausalLM, words: PreTrainedTokenizerFast) -> Path:
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def phi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with 20 more embedding rows than the tokenizer has tokens, as Phi-2's has 905 more."""
    words = tokenizer()
    return save(tmp_path_factory.mktemp("phi"), phi(len(words) + 20), words)


@pytest.fixture(scope="session")
def tiny(phi_folder: Path) -> Model:
    return load_model(str(phi_folder), device="cpu")
