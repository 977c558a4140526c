"""Loading, decoding and scoring of causal language models: with the neural scorers the only place with torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from audit.models.batching import Entry

if TYPE_CHECKING:
    from audit.models.model import Generated, Likelihood, Model, Weights, load_model

__all__ = ["Entry", "Generated", "Likelihood", "Model", "Weights", "load_model"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: reading a run folder needs the batch plan, but no torch.
    if name not in __all__:
        raise AttributeError(f"module 'audit.models' has no attribute {name!r}")
    return getattr(import_module("audit.models.model"), name)
