"""From decisions about many data sets to cells, and what the parts have in common."""

from __future__ import annotations

import numpy as np

from audit.policy import default_policy
from benchmarks.validity.cells import Cell, Saving
from benchmarks.validity.deciding import ALPHA, Bools, Found, Harms, Sides
from benchmarks.validity.organisms import SUBJECTS

RATIOS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""True harms, over the margin."""
NULL = "base again, other random numbers"
MARGINS = {(rule.suite, rule.metric): rule.margin for rule in default_policy().rules}
ALPHA_FAIL = ALPHA / len(SUBJECTS)
"""Level of the default policy's failing tests at Holm's first step, which decides whether the whole fails."""


def decided(part: str, rule: str, organism: str, profile: str, ratio: float, margin: float, harms: Harms) -> Cell:
    """The cell of a rule taken by itself."""
    passed, failed = harms.passes(margin), harms.fails(margin)
    return counted(part, rule, organism, profile, ratio, ratio * margin, passed, failed)


def counted(
    part: str, rule: str, organism: str, profile: str, ratio: float, harm: float, passed: Bools, failed: Bools
) -> Cell:
    """The cell of a gate that passed and failed in these data sets, each (sets,)."""
    return Cell(part, rule, organism, profile, ratio, harm, int(passed.sum()), int(failed.sum()), len(passed))


def saving(
    organism: str, measure: str, profile: str, effect: float, pairs: tuple[tuple[Sides, Found], tuple[Sides, Found]]
) -> Saving:
    """Spread and width under shared and under independent random numbers."""
    spreads = [float(np.std(one.value(one.tuned) - one.value(one.base))) for one, _ in pairs]
    widths = [float(np.nanmedian(ends.near[0][1] - ends.near[0][0])) for _, ends in pairs]
    return Saving(organism, measure, profile, effect, *spreads, *widths)


def percent(rate: float) -> str:
    """A rate in words."""
    return f"{100 * rate:.1f} %"


def numbers(common: bool) -> str:
    """Whether random numbers are shared, in words."""
    return "shared numbers" if common else "independent numbers"
