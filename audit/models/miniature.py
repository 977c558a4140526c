"""A small random model of the same class as a large one, in float32: where a wrong path cannot hide behind rounding."""

from __future__ import annotations

import copy
from typing import Any

import torch

# So short that a probe of a few tokens leaves it behind.
WINDOW = 3
VOCABULARY = 128
_WIDE = (
    "intermediate_size", "ffn_dim", "n_inner", "moe_intermediate_size", "shared_expert_intermediate_size",
    "intermediate_size_mlp",
)  # fmt: skip
_WIDTH = 64


def miniature(module: Any) -> Any:
    """Build a small random model with the features of a large one.

    It keeps the class, the activation, the position embedding, the width of a head, whether heads share keys, soft
    caps, sinks and one layer of each kind; it has few heads, few layers, a narrow MLP, a window of three tokens where
    there is one, and weights so large that attention is far from uniform.

    Args:
        module: a transformers causal LM; nothing of it is changed.

    Returns:
        A causal LM in eval mode and float32 on the same device, with a vocabulary of :data:`VOCABULARY`.

    Raises:
        Exception: whatever a configuration class raises that cannot be made small in this way.
    """
    from transformers import AutoModelForCausalLM

    config = _shrunk(module.config.get_text_config())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        whole = module.config.get_text_config() is module.config
        auto: Any = AutoModelForCausalLM
        small: Any = type(module)(config) if whole else auto.from_config(config)
        small = small.to(torch.float32).eval()
        with torch.no_grad():
            for parameter in small.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=1.5 * parameter.shape[-1] ** -0.5)
                else:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    return small.to(module.device)


def _shrunk(config: Any) -> Any:
    small = copy.deepcopy(config)
    heads = int(config.num_attention_heads)
    shared = int(getattr(config, "num_key_value_heads", None) or heads)
    width = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    few = min(shared, 2)
    changes = {
        "num_attention_heads": few * min(heads // shared, 2),
        "num_key_value_heads": few,
        "hidden_size": few * min(heads // shared, 2) * width,
        "vocab_size": VOCABULARY,
        "dtype": torch.float32,
    }
    changes |= {"word_embed_proj_dim": changes["hidden_size"]} | dict.fromkeys(_WIDE, _WIDTH)
    if isinstance(getattr(config, "sliding_window", None), int):
        changes["sliding_window"] = WINDOW
    for name, value in changes.items():
        if getattr(config, name, None) is not None:
            setattr(small, name, value)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(small, name, None)
    if getattr(small, "quantization_config", None) is not None:
        del small.quantization_config
    _keep_layers(small, config)
    return small


def _keep_layers(small: Any, config: Any) -> None:
    """Keep the first two layers, and the first layer of each other kind."""
    count = int(config.num_hidden_layers)
    lists = {name: value for name, value in vars(config).items() if isinstance(value, list) and len(value) == count}
    kinds = list(zip(*lists.values(), strict=True)) if lists else [()] * count
    kept = sorted({0, min(1, count - 1)} | {kinds.index(kind) for kind in kinds})
    small.num_hidden_layers = len(kept)
    for name, value in lists.items():
        setattr(small, name, [value[at] for at in kept])
