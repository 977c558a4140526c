"""A causal language model's hidden states and its output layer, apart.

transformers' forward pass ends in logits for every token it keeps, [batch, length, vocabulary]: for a vocabulary of
50,000 that is more memory than all the rest. Run apart, the output layer sees only the tokens whose logits somebody
reads, in chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

# Largest difference that a probe's logits may have, as a share of the largest logit: rounding, not arithmetic.
_ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}
# What was found by the probe of each model: it costs two forward passes.
_PROBED: WeakKeyDictionary[torch.nn.Module, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Head:
    """The two halves of a causal language model's forward pass."""

    module: Any
    """A transformers causal LM in eval mode. Its layers are looked up at each call, since adapters replace them."""

    @classmethod
    def of(cls, module: Any) -> Head | None:
        """The halves of ``module``, or None where they do not give its own logits or give numbers that are not finite.

        Found out once a model, by two forward passes over eight tokens.
        """
        if module not in _PROBED:
            _PROBED[module] = _gives_own_logits(cls(module))
        return cls(module) if _PROBED[module] else None

    def hidden(self, **inputs: Any) -> Any:
        """The model without its output layer.

        Args:
            inputs: of the model's forward pass; not ``logits_to_keep``.

        Returns:
            transformers' output: ``last_hidden_state`` [batch, length, width] and, if asked for, ``past_key_values``.
        """
        return self.module.base_model(**inputs, return_dict=True)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of hidden states as the whole model gives them, its scale and its soft cap included.

        Args:
            hidden: [n, width].

        Returns:
            [n, rows of the output layer], in the model's dtype.
        """
        logits: Tensor = self.module.get_output_embeddings()(hidden)
        config = self.module.config.get_text_config()
        # Cohere multiplies, Granite divides, Gemma 2 and 3 cap.
        scale, divisor = getattr(config, "logit_scale", None), getattr(config, "logits_scaling", None)
        cap = getattr(config, "final_logit_softcapping", None)
        if isinstance(scale, int | float):
            logits = logits * scale
        if isinstance(divisor, int | float):
            logits = logits / divisor
        return torch.tanh(logits / cap) * cap if cap is not None else logits


@torch.inference_mode()
def _gives_own_logits(head: Head) -> bool:
    module = head.module
    if module.base_model is module or module.get_output_embeddings() is None:
        return False
    rows = module.get_input_embeddings().weight.shape[0]
    # Spread over the vocabulary by a step that shares no factor with usual sizes.
    ids = (torch.arange(8, device=module.device) * 7919 % rows).view(2, 4)
    whole = module(input_ids=ids, use_cache=False).logits.float()
    try:
        hidden = head.hidden(input_ids=ids, use_cache=False).last_hidden_state
        apart = head.logits(hidden.flatten(0, 1)).view_as(whole).float()
    except (AttributeError, TypeError, ValueError, RuntimeError):
        # Not built as the others are: an inner model that takes other arguments, an output layer with a shape of
        # its own. The whole forward pass is there for it.
        return False
    largest = whole.abs().max()
    return bool(torch.isfinite(whole).all()) and bool(
        (whole - apart).abs().max() <= _ROUNDING.get(module.dtype, 0.0) * largest
    )
