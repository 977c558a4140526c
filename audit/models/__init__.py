"""Loading, decoding and scoring of causal language models: with the neural scorers the only place with torch."""

from __future__ import annotations

from audit.models.batching import Entry
from audit.models.model import Generated, Likelihood, Model, Weights, load_model

__all__ = ["Entry", "Generated", "Likelihood", "Model", "Weights", "load_model"]
