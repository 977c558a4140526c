"""A cell: one organism, one rule, one true harm, and how often the gate decided what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.metrics.intervals import wilson

LEVEL = 0.95
"""Of the Monte Carlo intervals."""
PROMISED = ("tokens", "rules", "adapters", "gates", "absolute", "groups", "scorers")
"""Parts whose errors are held to alpha."""
Key = tuple[str, str, str, str, float]
"""Part, rule, organism, profile and ratio of a cell."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How a rule, or a whole gate, decided over many seeds."""

    part: str
    """One of :data:`PROMISED`; ``skewness`` compares the gate's interval with others, ``aside`` the rule of one scorer
    with a gate that asks more."""
    rule: str
    """The metric, which rule of a whole gate is at which harm, or the interval compared."""
    organism: str
    """What the variant is."""
    profile: str
    ratio: float
    """True harm over the margin; for an absolute rule the true value over the bound."""
    harm: float
    """True harm, or true value, in the metric's unit."""
    passed: int
    failed: int
    sets: int
    """Seeds: data sets of new items with new random numbers."""
    again: tuple[int, int, int] | None = None
    """Passed, failed and seeds of the second look, on fresh seeds; None where there was none."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Cell:
        """A cell as it was kept."""
        again = record.get("again")
        return cls(**{**record, "again": None if again is None else tuple(again)})

    @property
    def key(self) -> Key:
        """What names a cell; no two share it."""
        return self.part, self.rule, self.organism, self.profile, self.ratio

    @property
    def promised(self) -> bool:
        """Whether its errors are held to alpha; other cells stand beside those for comparison."""
        return self.part in PROMISED

    @property
    def wrong_passes(self) -> bool:
        """Whether every pass is a false one."""
        return self.ratio >= 1 - 1e-9

    @property
    def wrong_fails(self) -> bool:
        """Whether every fail is a false one: there is no harm, or no value over the bound."""
        return self.ratio <= (1.0 if self.part == "absolute" else 0.0) + 1e-9

    def share(self, what: str) -> tuple[float, float, float]:
        """Share of seeds with an outcome, and its Wilson interval: of the second look where there was one.

        Args:
            what: ``passed`` or ``failed``.
        """
        if self.again is None:
            return self.first(what)
        return _share(self.again[0 if what == "passed" else 1], self.again[2])

    def first(self, what: str) -> tuple[float, float, float]:
        """The same of the first look."""
        return _share(self.passed if what == "passed" else self.failed, self.sets)


def _share(count: int, sets: int) -> tuple[float, float, float]:
    low, high = wilson(count / sets, sets, LEVEL)
    return count / sets, float(low), float(high)


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
