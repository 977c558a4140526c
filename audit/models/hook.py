"""Attention of our own inside transformers' models, for as long as one batch takes.

A function is registered with transformers' attention interface under a name, and no mask under that name, so that none
is made; a model is set to it and back again. Which models that works for is found out by :mod:`audit.models.fits`: what
a layer asks for beyond what these functions do is refused here, loudly, and never left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor
from transformers import AttentionInterface

T = TypeVar("T")
# What a layer may hand to its attention function; anything else that is set is a feature that ours do not have.
_HARMLESS = ("position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states", "is_causal")


class UnsupportedError(Exception):
    """A layer asks for what an attention function of ours does not do; such a model takes the plain path."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a layer wants of its attention."""

    scale: float
    """Scores are multiplied by it."""
    window: int | None
    """Tokens further back than this are not seen; None: all are."""
    softcap: float | None
    """Scores become ``softcap * tanh(score / softcap)`` (Gemma 2)."""
    sinks: Tensor | None
    """[heads], one more logit a head that takes mass and gives nothing (GPT-OSS)."""


class Hook(Generic[T]):
    """An attention function under a name.

    Args:
        name: in transformers' attention interface.
        attend: called in each layer with what :meth:`work` was given, the layer, queries, keys and values as the layer
            hands them over ([rows, heads, tokens, width]), and what it asks for; returns [rows, tokens, heads, width].
    """

    def __init__(self, name: str, attend: Callable[[T, Any, Tensor, Tensor, Tensor, Asked], Tensor]) -> None:
        self.name, self._attend = name, attend
        # The batch that is worked on: one at a time in a process, since some layers pass nothing through to us.
        self.current: T | None = None
        AttentionInterface.register(name, self.called)

    def called(
        self, module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, *,
        scaling: float | None = None, dropout: float = 0.0, sliding_window: int | None = None,
        softcap: float | None = None, s_aux: Tensor | None = None, **others: Any,
    ) -> tuple[Tensor, None]:  # fmt: skip
        """What transformers calls in each layer; raises UnsupportedError."""
        if self.current is None:
            raise UnsupportedError(f"the attention function {self.name} was called outside a batch")
        strange = sorted(name for name, given in others.items() if given is not None and name not in _HARMLESS)
        if attention_mask is not None or strange or dropout:
            raise UnsupportedError(f"a layer hands over {', '.join(strange) or 'a mask or dropout'}")
        if others.get("is_causal") is False:
            raise UnsupportedError("a layer attends to tokens behind")
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        asked = Asked(scale, sliding_window, softcap, s_aux)
        return self._attend(self.current, module, query, key, value, asked), None

    @contextlib.contextmanager
    def work(self, module: Any, batch: T) -> Iterator[None]:
        """Inside, every layer of ``module`` attends by this function; the model's own way is put back.

        Raises:
            UnsupportedError: the model does not use transformers' attention interface.
        """
        before = module.config._attn_implementation
        module.set_attn_implementation(self.name)
        try:
            # Where a model does not support it, transformers only warns.
            if module.config._attn_implementation != self.name:
                raise UnsupportedError(f"{type(module).__name__} does not use transformers' attention interface")
            self.current = batch
            yield
        finally:
            self.current = None
            module.set_attn_implementation(before)
