"""What a page shows of a suite's answers: how many have which state, and how the scores are spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audit.schema import Comparison, Distribution
from reports import text
from reports.charts import Series

WIDTH, HEIGHT = 252.0, 112.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 246.0, 14.0, 92.0


@dataclass(frozen=True, slots=True)
class Histogram:
    """One run's scores as bars, their heights on a logarithmic scale so that a few high scores are seen."""

    series: Series
    record: Distribution
    bars: str
    """Outline of the bars."""
    cut: float | None
    """Where the threshold lies, in pixels."""
    ticks: tuple[tuple[float, str], ...]
    """(y, words) on the axis of counts."""
    marks: tuple[tuple[float, str], ...]
    """(x, words) on the axis of scores."""
    said: str


@dataclass(frozen=True, slots=True)
class Spread:
    """One scorer over the answers of all runs to one suite."""

    id: str
    scorer: str
    smoke: bool
    threshold: float | None
    histograms: tuple[Histogram, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]
    """(bin in words, count of each run)."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to one suite, run by run."""

    counts: tuple[tuple[Series, Distribution], ...]
    """One record a run and scorer, with the scorers in their order and the runs under each other."""
    spreads: tuple[Spread, ...]


def answers(comparison: Comparison, series: Sequence[Series], suite: str, id: str, smoke: Sequence[str]) -> Answers:
    """Gather what the comparison counted of one suite's answers.

    Args:
        comparison: as rendered.
        series: its runs, in order.
        suite: its name.
        id: prefix of ids on the page.
        smoke: names of smoke-test scorers.

    Returns:
        Counts and spreads; both empty where the suite generates nothing, or the record is from before they were kept.
    """
    by_name = {one.name: one for one in series}
    mine = [(by_name[row.run], row) for row in comparison.distributions if row.suite == suite and row.run in by_name]
    names = dict.fromkeys(row.scorer for _, row in mine if row.counts)
    spreads = [
        _spread(f"{id}-d{at}", name, [(one, row) for one, row in mine if row.scorer == name], smoke)
        for at, name in enumerate(names)
    ]
    return Answers(tuple(mine), tuple(spreads))


def _spread(id: str, scorer: str, found: Sequence[tuple[Series, Distribution]], smoke: Sequence[str]) -> Spread:
    most = max((max(row.counts) for _, row in found), default=0)
    bins = len(found[0][1].counts)
    found = [(one, row) for one, row in found if len(row.counts) == bins]
    rows = tuple(
        (f"{text.axis(at / bins, '')} to {text.axis((at + 1) / bins, '')}", tuple(row.counts[at] for _, row in found))
        for at in range(bins)
    )
    is_smoke = any(scorer == name or scorer.startswith(f"{name}.") for name in smoke)
    drawn = tuple(_histogram(one, row, most) for one, row in found)
    return Spread(id, scorer, is_smoke, found[0][1].threshold, drawn, rows)


def _histogram(series: Series, row: Distribution, most: int) -> Histogram:
    step = (_RIGHT - _LEFT) / len(row.counts)
    bars = "".join(
        f"M{_LEFT + at * step + 0.6:.1f} {_BOTTOM:g}V{_height(count, most):.1f}h{step - 1.2:.1f}V{_BOTTOM:g}z"
        for at, count in enumerate(row.counts)
        if count
    )
    powers = [10**power for power in range(9) if power == 0 or 10**power <= most]
    ticks = [(round(_height(count, most), 1), text.count(count)) for count in (0, *powers)]
    marks = tuple((round(_LEFT + at * (_RIGHT - _LEFT), 1), text.axis(at, "")) for at in (0.0, 0.25, 0.5, 0.75, 1.0))
    cut = None if row.threshold is None else round(_LEFT + row.threshold * (_RIGHT - _LEFT), 1)
    return Histogram(series, row, bars, cut, tuple(ticks), marks, _said(series, row))


def _height(count: int, most: int) -> float:
    """Where a bar of that count ends: logarithmic, and 0 on the axis."""
    return _BOTTOM - (_BOTTOM - _TOP) * math.log1p(count) / math.log1p(max(most, 1))


def _said(series: Series, row: Distribution) -> str:
    scored = sum(row.counts)
    words = f"{text.plain(series.name)}: {text.count(scored)} scored answers with text"
    if row.over is not None and row.threshold is not None:
        words += f", {text.count(row.over)} of them at or over {text.axis(row.threshold, '')}"
    return f"{words}. The table beside this chart gives every count."


__all__ = ["Answers", "Histogram", "Spread", "answers"]
