"""Which requests go through the model together.

The composition is decided before the first forward pass, from lengths alone, and is written to the run folder:
floating-point
rounding depends on it, so a resumed run must repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of a batch: samples ``first`` ... ``first + count - 1`` of one item, or as many choices."""

    item: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Work:
    """What one item asks of the model."""

    item: str
    length: int
    """Tokens of the longest row, new tokens included."""
    rows: int
    """Samples, or choices."""


def compose(works: Sequence[Work], *, token_budget: int, max_rows: int) -> list[tuple[Entry, ...]]:
    """Pack work into batches of similar length under a token budget.

    Args:
        works: what is asked, one entry an item.
        token_budget: padded tokens (rows x longest row) a batch may hold; a single row may exceed it.
        max_rows: most rows in one batch.

    Returns:
        Batches, the longest first, so that a batch that does not fit memory shows itself at the start. The rows of an
        item stay together unless they alone exceed the budget. Every (item, row) is in exactly one batch.

    Raises:
        ValueError: budget or row limit is not positive.
    """
    if token_budget < 1 or max_rows < 1:
        raise ValueError(f"token_budget and max_rows must be positive, got {token_budget} and {max_rows}")
    batches: list[tuple[Entry, ...]] = []
    current: list[Entry] = []
    rows = longest = 0
    for work in sorted(works, key=lambda work: (-work.length, work.item)):
        limit = max(1, min(max_rows, token_budget // max(work.length, 1)))
        for first in range(0, work.rows, limit):
            count = min(limit, work.rows - first)
            longest = longest or work.length
            full = rows + count > max_rows or (rows + count) * longest > token_budget
            if current and full:
                batches.append(tuple(current))
                current, rows, longest = [], 0, work.length
            current.append(Entry(work.item, first, count))
            rows += count
    if current:
        batches.append(tuple(current))
    return batches
