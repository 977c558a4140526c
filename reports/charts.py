"""Which forest plots a report holds: values and changes of a metric, a metric by group, the intervals of the gate."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit.schema import Difference, RuleResult, RunInfo, SummaryRow
from reports import forest, text

MOST_GROUPS = 30
"""Above this many groups a chart stops being readable; the table remains."""
_GATE_REACH = (-3.0, 4.0)
"""How much of the gate's axis is drawn, in margins; intervals beyond end in an arrow."""


@dataclass(frozen=True, slots=True)
class Series:
    """A run as it appears in every chart and table of the page."""

    index: int
    """0 is the base."""
    run: RunInfo

    @property
    def name(self) -> str:
        """Short name for columns."""
        return self.run.name

    @property
    def look(self) -> str:
        """Class that colours it."""
        return forest.look(self.index)

    @property
    def shape(self) -> str:
        """Outline of its marker."""
        return forest.shape(self.index)


def identity(*parts: str) -> str:
    """An HTML id made of names: letters, digits and hyphens only."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-").lower() or "x"


_SAID = 12
"""Above this many marks none says its number when pointed at: the table beside the chart gives them all."""


def values(
    head: SummaryRow, identity: str, rows: Sequence[tuple[str, Sequence[tuple[Series, SummaryRow | None]]]]
) -> forest.Chart:
    """A metric's values: one row for each run, or one for each group with the runs under each other.

    Args:
        head: any row of the metric; gives its words, unit and target.
        identity: prefix of ids.
        rows: (label, runs with their summary row or None) from top to bottom.

    Returns:
        The plot.
    """
    unit = head.unit
    told = sum(len(cells) for _, cells in rows) <= _SAID
    marks = [
        forest.Row(label, tuple(_value(series, row, unit, told=told) for series, row in cells)) for label, cells in rows
    ]
    lines = [] if head.target is None else [forest.Line(head.target, "target", "neutral")]
    return forest.chart(
        identity,
        f"{head.label}: values",
        f"{_way(head)}. {_spoken(marks)}",
        marks,
        lines=lines,
        bounds=(0.0, 1.0) if unit == "share" else None,
        tick=lambda at: text.axis(at, unit),
        sides=_sides(head),
    )


def changes(
    head: SummaryRow, identity: str, cells: Sequence[tuple[Series, Difference | None, RuleResult | None]]
) -> forest.Chart:
    """A metric's change from the base, one row for each variant, with the margin and the gate's deciding interval.

    Where a metric has a target, harm is the distance from it: a variant does harm beyond the margin on the base's own
    side, or beyond the mirrored place on the other side. The second line is drawn where the data come near it.

    Args:
        head: any row of the metric.
        identity: prefix of ids.
        cells: variants with their paired difference and, where the gate has one, its rule.

    Returns:
        The plot.
    """
    rows = []
    lines = {0.0: forest.Line(0.0, "zero", "no change")}
    for series, difference, rule in cells:
        rows.append(forest.Row(series.name, (_change(series, difference, rule, head),)))
        if rule is not None and rule.kind == "non-inferiority":
            for at in _margins(rule.margin, difference, head):
                lines.setdefault(at, forest.Line(at, "margin", "margin"))
    return forest.chart(
        identity,
        f"{head.label}: change from the base",
        f"Variant minus base; {_way(head)}. {_spoken(rows)}",
        rows,
        lines=list(lines.values()),
        tick=lambda at: text.axis(at, head.unit, signed=True),
        sides=_sides(head) or _nearer(head, [difference for _, difference, _ in cells]),
    )


def gate(identity: str, name: str, rules: Sequence[tuple[RuleResult, str, str]]) -> forest.Chart | None:
    """Deciding intervals of one variant's gate, each in units of its own margin, so that all share one axis.

    Args:
        identity: prefix of ids.
        name: the variant.
        rules: rules with the unit and the short name of what each is about.

    Returns:
        The plot; None where no rule has an interval and a margin above 0.
    """
    rows = []
    for rule, unit, label in rules:
        if rule.margin > 0 and (rule.harm is not None or rule.low is not None):
            low, at, high = (None if x is None else x / rule.margin for x in (rule.low, rule.harm, rule.high))
            spoken = (
                f"{label}: harm {text.number(rule.harm, unit, signed=True)}, {text.percent(rule.level)} interval "
                f"{text.interval(rule.low, rule.high, unit, signed=True)}; {rule.verdict}"
            )
            mark = forest.Mark(
                f"v-{rule.verdict}", forest.VERDICT_SHAPES[rule.verdict], at, low, high, text.plain(spoken)
            )
            rows.append(forest.Row(label, (mark,)))
    if not rows:
        return None
    low, high = forest.extent([0.0, 1.2, *(x for row in rows for m in row.marks for x in (m.low, m.value, m.high))])
    return forest.chart(
        identity,
        f"{name}: intervals that decided, in units of each rule's margin",
        f"0 is no change and 1 is the margin; further right is worse. {_spoken(rows)}",
        rows,
        lines=[forest.Line(0.0, "zero", ""), forest.Line(1.0, "margin", "margin")],
        limits=(max(low, _GATE_REACH[0]), min(high, _GATE_REACH[1])),
        tick=lambda at: text.axis(at, ""),
        sides=("less harm", "more harm"),
    )


def _value(series: Series, row: SummaryRow | None, unit: str, *, told: bool = True) -> forest.Mark:
    """One run's value as a mark, with its number in words where it is ``told``."""
    if not told:
        numbers = (row.value, row.low, row.high) if row else (None, None, None)
        return forest.Mark(series.look, series.shape, *numbers, "")
    if row is None:
        return forest.Mark(series.look, series.shape, None, None, None, f"{text.plain(series.name)}: not measured")
    said = (
        f"{text.plain(series.name)}: {text.number(row.value, unit)} "
        f"({text.percent(row.level)} interval {text.interval(row.low, row.high, unit)}, n={row.n})"
    )
    return forest.Mark(series.look, series.shape, row.value, row.low, row.high, said)


def _change(series: Series, found: Difference | None, rule: RuleResult | None, head: SummaryRow) -> forest.Mark:
    """One variant's paired difference as a mark, the gate's interval turned back into the metric's own sign."""
    name = text.plain(series.name)
    if found is None:
        return forest.Mark(series.look, series.shape, None, None, None, f"{name}: not compared")
    deciding = None
    if rule and rule.kind == "non-inferiority" and rule.low is not None and rule.high is not None:
        deciding = {1: (rule.low, rule.high), -1: (-rule.high, -rule.low)}.get(_sign(found, rule, head))
    interval = text.interval(found.low, found.high, head.unit, signed=True)
    said = (
        f"{name}: {text.number(found.difference, head.unit, signed=True)} "
        f"({text.percent(found.level)} interval {interval}, n={found.n})"
    )
    return forest.Mark(series.look, series.shape, found.difference, found.low, found.high, said, deciding)


def _sign(found: Difference, rule: RuleResult, head: SummaryRow) -> int:
    """1 where harm is the change itself, -1 where it is its negative, 0 where it is neither.

    Towards a target harm is the change, or its negative, as long as the variant stays on the base's side.
    """
    if head.direction != "target":
        return 1 if head.direction == "lower" else -1
    if found.difference is None or rule.harm is None:
        return 0
    side = _side(found, head)
    return side if math.isclose(rule.harm, side * found.difference, rel_tol=1e-6, abs_tol=1e-12) else 0


def _side(found: Difference, head: SummaryRow) -> int:
    """The side of the target on which the base lies: 1 above, -1 below, 0 on it or unknown."""
    if found.base is None or head.target is None:
        return 0
    return (found.base > head.target) - (found.base < head.target)


def _margins(margin: float, found: Difference | None, head: SummaryRow) -> tuple[float, ...]:
    """Where the margin lies on an axis of variant minus base."""
    if head.direction != "target":
        return (margin if head.direction == "lower" else -margin,)
    if found is None or found.base is None or head.target is None or not _side(found, head):
        return ()
    near = _side(found, head) * margin
    far = -_side(found, head) * (2 * abs(found.base - head.target) + margin)
    # The far side is often far off; drawn always, it would press everything else together.
    seen = [at for at in (found.low, found.difference, found.high) if at is not None]
    return (near, far) if any(abs(at) > 0.5 * abs(far) and at * far > 0 for at in seen) else (near,)


def _sides(head: SummaryRow) -> tuple[str, str] | None:
    """Words under the two ends of the axis."""
    if text.informs(head.label):
        return None
    return {"lower": ("better", "worse"), "higher": ("worse", "better")}.get(head.direction)


def _nearer(head: SummaryRow, found: Sequence[Difference | None]) -> tuple[str, str] | None:
    """Words under the ends of a change axis where the base lies on one known side of a target."""
    sides = {_side(one, head) for one in found if one is not None}
    if head.target is None or text.informs(head.label) or sides not in ({1}, {-1}):
        return None
    words = (f"towards {text.axis(head.target, head.unit)}", "away")
    return words if sides == {1} else (words[1], words[0])


def _way(head: SummaryRow) -> str:
    return text.direction(head.direction, head.target, head.unit, head.label)


def _spoken(rows: Sequence[forest.Row]) -> str:
    """A short chart in a sentence each; a long one points to its table."""
    if sum(len(row.marks) for row in rows) > _SAID:
        return "The table beside this chart gives every number."
    return " ".join(f"{mark.said}." for row in rows for mark in row.marks)
