"""A cell: one organism, one rule, one true harm, and how often the gate decided what."""

from __future__ import annotations

from dataclasses import dataclass

from audit.metrics.intervals import wilson

LEVEL = 0.95
"""Of the Monte Carlo intervals."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How a rule, or a whole gate, decided over many seeds."""

    part: str
    """``tokens``, ``rules``, ``adapters`` or ``gates``; ``skewness`` compares the gate's interval with others."""
    rule: str
    """The metric, which rule of a whole gate is at which harm, or the interval compared."""
    organism: str
    """What the variant is."""
    profile: str
    ratio: float
    """True harm over the margin."""
    harm: float
    """True harm, in the metric's unit."""
    passed: int
    failed: int
    sets: int
    """Seeds: data sets of new items with new random numbers."""

    @property
    def wrong_passes(self) -> bool:
        """Whether every pass is a false one."""
        return self.ratio >= 1 - 1e-9

    @property
    def wrong_fails(self) -> bool:
        """Whether every fail is a false one: there is no harm."""
        return self.ratio <= 1e-9

    def share(self, what: str) -> tuple[float, float, float]:
        """Share of seeds with an outcome, and its Wilson interval.

        Args:
            what: ``passed`` or ``failed``.
        """
        count = self.passed if what == "passed" else self.failed
        low, high = wilson(count / self.sets, self.sets, LEVEL)
        return count / self.sets, float(low), float(high)


@dataclass(frozen=True, slots=True)
class Saving:
    """What common random numbers save for one organism."""

    organism: str
    measure: str
    profile: str
    effect: float
    """True change of the measure."""
    shared: float
    """Standard deviation over seeds of the paired difference, base and variant sharing random numbers."""
    independent: float
    """The same with independent ones."""
    width_shared: float
    """Median width of the 90 % interval, sharing."""
    width_independent: float

    @property
    def needed(self) -> float:
        """How many times as many prompts independent random numbers need for the same standard deviation."""
        return (self.independent / self.shared) ** 2 if self.shared > 0 else float("inf")
