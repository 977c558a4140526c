"""What a model gives back: answers and likelihoods, as lines of the journals."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Generated:
    """One answer."""

    item: str
    k: int
    text: str | None
    """None where the answer is missing: ``finish`` says why."""
    tokens: int
    """Tokens drawn, end token not counted."""
    finish: str
    """``eos``, ``stop`` (a stop string), ``length``, or why there is no answer."""

    def record(self) -> dict[str, Any]:
        """A line of ``samples.jsonl``."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """One choice, scored."""

    item: str
    choice: int
    logprob: float | None
    """Sum of natural-log probabilities; None where it is missing."""
    tokens: int
    """Tokens in that sum. Without context and without a BOS that the tokenizer adds, the first token is not among
    them."""
    ids: tuple[int, ...] = ()
    """Those tokens, where asked for."""
    logprobs: tuple[float, ...] = ()
    """Natural-log probability of each of ``ids``."""
    reason: str = ""
    """Why the likelihood is missing."""

    def record(self) -> dict[str, Any]:
        """A line of ``likelihoods.jsonl``; single tokens and a reason stand in it only where there are any."""
        row = dataclasses.asdict(self)
        return {key: value for key, value in row.items() if value or key not in ("ids", "logprobs", "reason")}
