"""Every metric turned so that more is worse, for charts in which rows of many metrics stand under each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.schema import Difference, SummaryRow
from reports import text


@dataclass(frozen=True, slots=True)
class Harm:
    """A change as harm, in the metric's own unit: above 0 is worse than the base, below 0 better."""

    value: float
    low: float | None
    high: float | None

    @property
    def certain(self) -> bool:
        """Whether the interval leaves no change out; without an interval nothing is certain."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def turns(row: SummaryRow | Difference) -> bool:
    """Whether a metric has a worse side at all: not where it only informs, nor towards a target that is not stated."""
    return not text.informs(row.label) and (row.direction != "target" or row.target is not None)


def of_change(found: Difference, base: SummaryRow | None = None) -> Harm | None:
    """A paired difference as harm.

    A change of a metric that should be low is harm itself, of one that should be high its negative. Towards a target
    harm is how much further from it the variant lies than the base, |tuned - target| - |base - target|; its interval is
    all that this can be over the intervals of the change and of the base, which is wide rather than narrow.

    Args:
        found: variant minus base.
        base: the base's own value with its interval. Without one, towards a target, the base may lie on either side.

    Returns:
        The harm; None where there is no estimate or the metric has no worse side.
    """
    if found.difference is None or not turns(found):
        return None
    if found.direction == "lower":
        return Harm(found.difference, found.low, found.high)
    if found.direction == "higher":
        flipped = (None if x is None else -x + 0.0 for x in (found.difference, found.high, found.low))
        value, low, high = flipped
        return None if value is None else Harm(value, low, high)
    if found.base is None or found.target is None:
        return None
    offset = found.base - found.target
    value = abs(offset + found.difference) - abs(offset)
    if found.low is None or found.high is None:
        return Harm(value, None, None)
    if base is None or base.low is None or base.high is None:
        # |a + d| - |a| never leaves the range from -|d| to |d|, wherever a lies.
        most = max(abs(found.low), abs(found.high))
        return Harm(value, -most, most)
    reached = list(_distances((base.low - found.target, base.high - found.target), (found.low, found.high)))
    return Harm(value, min(value, *reached), max(value, *reached))


def _distances(offsets: tuple[float, float], changes: tuple[float, float]) -> Iterator[float]:
    """|a + d| - |a| wherever it can be least or greatest for a in ``offsets`` and d in ``changes``.

    It is linear between the lines a = 0 and a + d = 0, so its extremes lie at the box's corners and where those lines
    meet the box's edges or each other.
    """
    points = [(a, d) for a in offsets for d in changes]
    points += [(0.0, d) for d in (*changes, 0.0)]
    points += [(a, -a) for a in offsets] + [(-d, d) for d in changes]
    for a, d in points:
        if offsets[0] <= a <= offsets[1] and changes[0] <= d <= changes[1]:
            yield abs(a + d) - abs(a)


def of_gap(row: SummaryRow, whole: SummaryRow) -> Harm | None:
    """How much worse a group's value is than the value over all groups, which is taken as it stands.

    Args:
        row: one group.
        whole: the same metric over all groups.

    Returns:
        The gap as harm with the group's own interval; None where either has no value or the metric no worse side.
    """
    if row.value is None or whole.value is None or not turns(row):
        return None
    sign = -1.0 if row.direction == "higher" else 1.0

    def badness(value: float) -> float:
        return abs(value - row.target) if row.direction == "target" and row.target is not None else sign * value

    at = badness(whole.value)
    if row.low is None or row.high is None:
        return Harm(badness(row.value) - at, None, None)
    ends = [badness(row.low), badness(row.high)]
    if row.direction == "target" and row.target is not None and row.low <= row.target <= row.high:
        ends.append(0.0)
    return Harm(badness(row.value) - at, min(ends) - at, max(ends) - at)
