"""float16, only on request, and then with attention computed in float32.

Phi-2's query-key products overflow float16, whose largest number is 65,504: logits become NaN on some kernels
(transformers PR #28163 and
#28673, pytorch #160841).
"""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import Tensor

_NAME = "sdpa_float32"


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.float()
    output, _ = sdpa_attention_forward(module, query.float(), key.float(), value.float(), attention_mask, **kwargs)
    return output.to(query.dtype), None


def use_float32_attention(module: Any) -> None:
    """Make a float16 model compute its attention, queries and keys included, in float32.

    Raises:
        ModelError: the model does not use transformers' attention interface.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    from audit.errors import ModelError

    AttentionInterface.register(_NAME, _attention)
    AttentionMaskInterface.register(_NAME, sdpa_mask)
    with contextlib.suppress(ValueError):  # said below
        module.set_attn_implementation(_NAME)
    if module.config._attn_implementation != _NAME:
        raise ModelError(
            f"float16 is not safe for {type(module).__name__}: its attention cannot be kept in float32; use bfloat16"
        )


def float32_matmuls(device: str) -> None:
    """Keep float32 matrix products in float32 on CUDA (no TF32), so that float32 means the same everywhere."""
    if device.startswith("cuda"):
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
