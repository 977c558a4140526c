"""What every metric returns: a value that never travels without its interval and its counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, how sure it is, and what it rests on."""

    value: float | None
    """The point estimate; None where nothing could be estimated (no unit had a value)."""
    low: float | None
    """Lower end of the two-sided interval; None where none could be given."""
    high: float | None
    """Upper end of the two-sided interval."""
    level: float
    """Two-sided confidence level of the interval, e.g. 0.95."""
    n: int
    """Units with a value: prompts, pairs or items, never single draws."""
    clusters: int
    """Independent groups of units (templates, or prompts) that the interval rests on."""
    missing: int
    """Units without a value; they are left out of the value and counted here."""
    method: str
    """How the interval was made, in words fit for print, e.g. ``"Wilson at effective n"``."""

    def __str__(self) -> str:
        if self.value is None:
            return f"not estimated (n=0, missing={self.missing})"
        if self.low is None or self.high is None:
            interval = "no interval"
        else:
            interval = f"{self.level:.0%} {self.low:.4g} to {self.high:.4g}"
        return (
            f"{self.value:.4g} [{interval}] "
            f"(n={self.n}, clusters={self.clusters}, missing={self.missing}; {self.method})"
        )
