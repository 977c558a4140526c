"""Many comparisons at once, for exploration: which of them to look at.

A gate's rules are fixed beforehand and held to one level by Holm (:mod:`audit.gate`). Looking through the differences
of several variants, metrics and groups is another thing: there the share of false alarms among what is pointed out is
bounded, not the chance of any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control

from audit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Exploration:
    """What stands out among many comparisons."""

    adjusted: tuple[float | None, ...]
    """Benjamini and Hochberg's adjusted p-value of each comparison, in the order given: the smallest ``q`` at which it
    stands out. None where it had no p-value."""
    found: tuple[bool, ...]
    """Which stand out at ``q``."""
    tests: int
    """Comparisons that had a p-value; the others are not counted among the tests."""
    q: float
    """Largest expected share of false alarms among what stands out, in (0, 1)."""
    level: float | None
    """Two-sided level at which the intervals of what stands out are to be shown: of such intervals at most a share
    ``q`` is expected to miss. None where nothing stands out."""


def explore(p_values: Sequence[float | None], q: float = 0.1) -> Exploration:
    """Benjamini and Hochberg's procedure (1995), with the level that intervals of the selected ones need.

    The share of false alarms is kept where the tests are independent or positively dependent (Benjamini and Yekutieli
    2001), as those of several variants against one base are. An interval shown only because its test stood out misses
    more often than its level says; at level ``1 - found * q / tests`` it does not (Benjamini and Yekutieli 2005).

    Args:
        p_values: one per comparison; None where it has none.
        q: largest expected share of false alarms, in (0, 1).

    Returns:
        Adjusted p-values and what stands out; nothing does where there is no p-value.

    Raises:
        UsageError: ``q`` or a p-value is out of range.
    """
    if not 0.0 < q < 1.0:
        raise UsageError(f"the share of false alarms lies between 0 and 1, e.g. 0.1; got {q!r}")
    known = [at for at, p in enumerate(p_values) if p is not None]
    values = np.array([p for p in p_values if p is not None], dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise UsageError("p-values lie in [0, 1], None where there is none; got one outside")
    adjusted: list[float | None] = [None] * len(p_values)
    if known:
        for at, value in zip(known, false_discovery_control(values, method="bh"), strict=True):
            adjusted[at] = float(value)
    found = tuple(value is not None and value <= q for value in adjusted)
    level = 1.0 - sum(found) * q / len(known) if any(found) else None
    return Exploration(tuple(adjusted), found, len(known), q, level)
