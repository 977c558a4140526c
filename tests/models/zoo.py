"""A tiny random model of each class that the engine meets, with what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM

ROWS = 300
_ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
_PLAIN = {
    "vocab_size": ROWS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, **_ENDS,
}  # fmt: skip
_BASE = _PLAIN | {"intermediate_size": 64, "max_position_embeddings": 128}
# Two heads share the keys and values of one.
_SHARED = _BASE | {"num_key_value_heads": 2}
_WIDE = _SHARED | {"head_dim": 8}
_GPT = {"vocab_size": ROWS, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "bos_token_id": 0,
        "eos_token_id": 0}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A configuration class and its values."""

    config: str
    values: dict[str, Any] = field(default_factory=lambda: _SHARED)


GAIN = {
    "phi": Kind("PhiConfig", _BASE | {"partial_rotary_factor": 0.5}),
    "llama": Kind("LlamaConfig"),
    "llama-yarn": Kind(
        "LlamaConfig",
        _SHARED | {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0,
                                       "original_max_position_embeddings": 32}},
    ),
    "qwen2": Kind("Qwen2Config"),
    "qwen3": Kind("Qwen3Config", _WIDE),
    "gemma": Kind("GemmaConfig", _WIDE),
    "gemma2": Kind("Gemma2Config", _WIDE | {"sliding_window": 8, "query_pre_attn_scalar": 8}),
    "gemma3": Kind(
        "Gemma3TextConfig",
        _WIDE | {"sliding_window": 8, "query_pre_attn_scalar": 8,
                 "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "gpt-neox": Kind("GPTNeoXConfig", _BASE),
    "gpt2": Kind("GPT2Config", _GPT),
    "mistral": Kind("MistralConfig", _SHARED | {"sliding_window": 8}),
    "phi3": Kind("Phi3Config"),
    "olmo2": Kind("Olmo2Config"),
    "stablelm": Kind("StableLmConfig"),
    "starcoder2": Kind("Starcoder2Config", _SHARED | {"sliding_window": 8}),
    "cohere": Kind("CohereConfig", _SHARED | {"logit_scale": 0.5}),
    "granite": Kind("GraniteConfig", _SHARED | {"logits_scaling": 2.0, "attention_multiplier": 0.3}),
    "opt": Kind("OPTConfig", _PLAIN | {"ffn_dim": 64, "max_position_embeddings": 128, "word_embed_proj_dim": 32}),
    "gpt-oss": Kind("GptOssConfig", _WIDE | {"sliding_window": 8, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "mixtral": Kind("MixtralConfig", _SHARED | {"num_local_experts": 4}),
}  # fmt: skip
"""Every path is open to them."""

PLAIN = {
    "falcon": (Kind("FalconConfig", _PLAIN | {"max_position_embeddings": 128}), "attention interface"),
    "falcon-alibi": (Kind("FalconConfig", _PLAIN | {"alibi": True}), "attention interface"),
    "bloom": (Kind("BloomConfig", _GPT | {"hidden_size": 32}), "attention interface"),
    "gpt-j": (Kind("GPTJConfig", _GPT | {"rotary_dim": 4}), "attention interface"),
    "gpt-neo": (
        Kind(
            "GPTNeoConfig",
            {"vocab_size": ROWS, "hidden_size": 32, "num_layers": 2, "num_heads": 4, "window_size": 8,
             "attention_types": [[["global", "local"], 1]], "max_position_embeddings": 128, **_ENDS},
        ),
        "attention interface",
    ),
    "llama4": (
        Kind(
            "Llama4TextConfig",
            _WIDE | {"intermediate_size_mlp": 64, "num_local_experts": 2, "attention_chunk_size": 8,
                     "num_hidden_layers": 4},
        ),
        "chunked_attention",
    ),
    "deepseek-v3": (
        Kind(
            "DeepseekV3Config",
            _BASE | {"moe_intermediate_size": 32, "n_routed_experts": 4, "n_group": 2, "topk_group": 1,
                     "num_experts_per_tok": 2, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8,
                     "qk_nope_head_dim": 8, "v_head_dim": 8, "first_k_dense_replace": 1, "num_key_value_heads": 4},
        ),
        "changes keys or values",
    ),
    "llama-dynamic": (
        Kind(
            "LlamaConfig",
            _SHARED | {"rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}},
        ),
        "dynamic RoPE",
    ),
}  # fmt: skip
"""Prompts cannot be shared, for a reason with these words in it; padded batches are right."""

UNPADDED = {
    "mamba": Kind("MambaConfig", _PLAIN | {"state_size": 8}),
    "mamba2": Kind("Mamba2Config", _PLAIN | {"state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 1}),
    "rwkv": Kind("RwkvConfig", {"vocab_size": ROWS, "hidden_size": 32, "num_hidden_layers": 2, "context_length": 128,
                                **_ENDS}),
    "recurrent-gemma": Kind(
        "RecurrentGemmaConfig", _SHARED | {"lru_width": 32, "attention_window_size": 8, "num_hidden_layers": 3}
    ),
    "jamba": Kind(
        "JambaConfig",
        _SHARED | {"num_experts": 2, "mamba_d_state": 8, "attn_layer_period": 2, "attn_layer_offset": 1,
                   "expert_layer_period": 2, "expert_layer_offset": 1, "use_mamba_kernels": False,
                   "mamba_dt_rank": 4},
    ),
    "lfm2": Kind("Lfm2Config", _SHARED | {"layer_types": ["conv", "full_attention"]}),
}  # fmt: skip
"""Padding changes their numbers, or they keep no cache whose rows can be picked: each row stands alone."""

LONGROPE = Kind(
    "Phi3Config",
    _SHARED | {"original_max_position_embeddings": 24,
               "rope_parameters": {"rope_type": "longrope", "rope_theta": 10000.0, "factor": 4.0,
                                   "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
                                   "original_max_position_embeddings": 24}},
)  # fmt: skip
"""Right in batches up to 24 tokens; from there on the longest row of a batch picks the frequencies of all its rows."""


def build(kind: Kind, *, spread: float = 0.1, **changes: Any) -> Any:
    """A random model, with weights so spread that attention is not uniform and answers do not look alike."""
    torch.manual_seed(0)
    config = getattr(transformers, kind.config)(**(kind.values | changes))
    module = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * spread)
    return module
