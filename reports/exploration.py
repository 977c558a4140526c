"""What the page shows of exploration: what stands out, trends along a series, small groups, wordings, overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audit.schema import (
    Comparison,
    Difference,
    Exploration,
    Finding,
    Measured,
    Overlap,
    PooledGroup,
    PooledRate,
    Span,
    SuiteOverlap,
    TrendRow,
    WordingRow,
)
from audit.schema import Series as Ordered
from reports import charts, forest, text
from reports.charts import Series

MOST_ITEMS = 200
"""Overlapping items that are listed of one suite; all of them are in the JSON file."""
_WIDTH, _HEIGHT = 340.0, 196.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 16.0, 12.0, 30.0
_APART = 40.0
"""Pixels between the numbers under an axis."""


@dataclass(frozen=True, slots=True)
class Found:
    """What stands out of one variant."""

    id: str
    series: Series
    rows: tuple[tuple[Finding, str], ...]
    """Each with the side to which it points: ``worse``, ``better`` or empty."""

    def pointing(self, side: str) -> int:
        """How many point to a side."""
        return sum(way == side for _, way in self.rows)


@dataclass(frozen=True, slots=True)
class Point:
    """One run of a series in a chart."""

    x: float
    y: float | None
    bar: tuple[float, float] | None
    look: str
    shape: str
    said: str


@dataclass(frozen=True, slots=True)
class Doses:
    """A metric against the dose, in pixels."""

    id: str
    title: str
    description: str
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    across: tuple[tuple[float, str], ...]
    """(x, dose in words)."""
    up: tuple[tuple[float, str], ...]
    """(y, value in words)."""
    line: tuple[float, float, float, float] | None
    """The fitted line: x and y of its first end, of its last."""
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """A metric along the series."""

    row: TrendRow
    chart: Doses
    rise: Span
    """The slope times the whole dose: how far the fitted line goes from the first run to the last."""
    out: bool
    """Whether it stands out among the trends."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A rate by group, raw and drawn together, for every run that has it."""

    id: str
    head: PooledRate
    spreads: tuple[tuple[Series, PooledRate], ...]
    groups: tuple[tuple[str, tuple[tuple[Series, PooledGroup], ...]], ...]
    quiet: bool
    """Whether no group of any run has an event."""
    most: float
    """The highest upper end of a drawn interval."""


@dataclass(frozen=True, slots=True)
class Worded:
    """The wording's part in the metrics of one suite."""

    id: str
    suite: str
    metrics: tuple[tuple[Measured, tuple[tuple[Series, WordingRow], ...]], ...]


@dataclass(frozen=True, slots=True)
class View:
    """The part of the page on exploration."""

    record: Exploration
    found: tuple[Found, ...]
    trends: tuple[Trend, ...]
    pools: tuple[Pool, ...]
    worded: tuple[Worded, ...]
    smoke: tuple[str, ...]
    """Smoke-test scorers behind its numbers."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A suite in which something overlaps, with the results on all items and on those left."""

    record: SuiteOverlap
    shown: int
    results: tuple[tuple[Difference | None, Difference], ...]


@dataclass(frozen=True, slots=True)
class Overlapping:
    """One variant's overlap with its training data."""

    id: str
    series: Series
    record: Overlap
    touched: tuple[Touched, ...]


def explored(comparison: Comparison, series: Sequence[Series]) -> View | None:
    """What exploration found, in the order of the page.

    Args:
        comparison: with an exploration or without.
        series: its runs.

    Returns:
        The view; None where nothing was explored, or nothing of it can be shown.
    """
    record = comparison.exploration
    if record is None or not (comparison.variants or record.pooled or record.wordings):
        return None
    named = {one.name: one for one in series}
    rows: list[Measured] = [*record.findings, *record.pooled, *record.wordings]
    return View(
        record=record,
        found=tuple(_found(one, record.findings) for one in series[1:]),
        trends=_trends(record.series, named, record.q) if record.series else (),
        pools=_pools(record.pooled, named),
        worded=_worded(record.wordings, named),
        smoke=tuple(dict.fromkeys(row.scorer for row in rows if row.smoke)),
    )


def overlaps(comparison: Comparison, series: Sequence[Series]) -> tuple[Overlapping, ...]:
    """The overlap of the variants whose training data were given."""
    return tuple(
        Overlapping(f"overlap-{one.index}", one, variant.overlap, _touched(variant.overlap, variant.differences))
        for one, variant in zip(series[1:], comparison.variants, strict=True)
        if variant.overlap is not None
    )


def _touched(overlap: Overlap, differences: Sequence[Difference]) -> tuple[Touched, ...]:
    whole = {(row.suite, row.metric, row.scorer): row for row in differences if row.group == "all"}
    return tuple(
        Touched(
            suite,
            min(len(suite.found), MOST_ITEMS),
            tuple((whole.get((row.suite, row.metric, row.scorer)), row) for row in suite.differences),
        )
        for suite in overlap.suites
        if suite.found
    )


# What stands out.


def _found(one: Series, findings: Sequence[Finding]) -> Found:
    rows = tuple((row, points_to(row)) for row in findings if row.run == one.name)
    return Found(f"found-{one.index}", one, rows)


def points_to(row: Finding) -> str:
    """The side to which a change points by its estimate: ``worse``, ``better``; empty where there is none."""
    if text.informs(row.label) or row.change.value is None:
        return ""
    harm = row.change.value
    if row.direction == "higher":
        harm = -harm
    if row.direction == "target":
        if row.target is None or row.base is None or row.tuned is None:
            return ""
        harm = abs(row.tuned - row.target) - abs(row.base - row.target)
    return "worse" if harm > 0 else "better" if harm < 0 else ""


# Small groups and wordings.


def _key(row: Measured) -> tuple[str, str, str, str]:
    return (row.suite, row.metric, row.variant, row.scorer)


def _pools(rows: Sequence[PooledRate], named: dict[str, Series]) -> tuple[Pool, ...]:
    """One table a metric, runs under each other within every group."""
    found = []
    for at, key in enumerate(dict.fromkeys(_key(row) for row in rows)):
        own = [(named[row.run], row) for row in rows if _key(row) == key]
        cells: dict[str, list[tuple[Series, PooledGroup]]] = {}
        for one, row in own:
            for group in row.groups:
                cells.setdefault(group.group, []).append((one, group))
        groups = [group for _, row in own for group in row.groups]
        quiet = all(not group.raw.value for group in groups) and own[0][1].unit == "share"
        most = max((group.pooled.high for group in groups if group.pooled.high is not None), default=0.0)
        listed = tuple((name, tuple(line)) for name, line in cells.items())
        found.append(Pool(f"pool-{at}", own[0][1], tuple(own), listed, quiet, most))
    return tuple(found)


def _worded(rows: Sequence[WordingRow], named: dict[str, Series]) -> tuple[Worded, ...]:
    """One table a suite; under each metric every run's own value, then every change."""
    found = []
    for at, suite in enumerate(dict.fromkeys(row.suite for row in rows)):
        keys = dict.fromkeys(_key(row) for row in rows if row.suite == suite)
        metrics = [[row for row in rows if _key(row) == key] for key in keys]
        lines = tuple((own[0], tuple((named[row.run], row) for row in own)) for own in metrics)
        found.append(Worded(f"wording-{at}", suite, lines))
    return tuple(found)


# Trends.


def _trends(ordered: Ordered, named: dict[str, Series], q: float) -> tuple[Trend, ...]:
    runs = [named[name] for name in ordered.runs]
    reach = ordered.doses[-1] - ordered.doses[0]
    return tuple(
        Trend(
            row,
            _doses(f"trend-{at}", row, ordered.doses, runs),
            _scaled(row.slope, reach),
            row.adjusted is not None and row.adjusted <= q,
        )
        for at, row in enumerate(ordered.trends)
    )


def _scaled(slope: Span, by: float) -> Span:
    value, low, high = (None if at is None else at * by for at in (slope.value, slope.low, slope.high))
    return Span(value=value, low=low, high=high, method=slope.method)


def _doses(identity: str, row: TrendRow, doses: Sequence[float], runs: Sequence[Series]) -> Doses:
    """A chart of values against doses, with the fitted line."""
    bounds = (0.0, 1.0) if row.unit == "share" else None
    seen = [at for value in row.values for at in (value.value, value.low, value.high)]
    floor, ceiling = forest.extent(seen, bounds)
    left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM

    def across(dose: float) -> float:
        return round(left + 12 + (right - left - 24) * (dose - doses[0]) / (doses[-1] - doses[0]), 1)

    def up(value: float) -> float:
        return round(bottom - (bottom - top) * (value - floor) / (ceiling - floor), 1)

    points = tuple(
        _point(one, across(dose), value, up, row, dose)
        for one, dose, value in zip(runs, doses, row.values, strict=True)
    )
    said = " ".join(f"{point.said}." for point in points) if len(points) <= 12 else "Numbers are in the table."
    return Doses(
        id=charts.identity(identity), title=f"{row.label} along the series", description=said,
        width=_WIDTH, height=_HEIGHT, left=left, right=right, top=top, bottom=bottom,
        across=_spaced([(across(dose), f"{dose:g}") for dose in doses]),
        up=tuple((up(at), text.axis(at, row.unit)) for at in forest.ticks(floor, ceiling)),
        line=_line(row, doses, across, up), points=points,
    )  # fmt: skip


def _point(one: Series, x: float, value: Span, up: Callable[[float], float], row: TrendRow, dose: float) -> Point:
    spread = f"{text.percent(row.level)} interval {text.interval(value.low, value.high, row.unit)}"
    said = f"{text.plain(one.name)} at {dose:g}: {text.number(value.value, row.unit)} ({spread})"
    bar = None if value.low is None or value.high is None else (up(value.low), up(value.high))
    return Point(x, None if value.value is None else up(value.value), bar, one.look, one.shape, said)


def _spaced(ticks: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """Doses whose numbers do not run into each other, the first and the last in any case."""
    kept = [ticks[0]]
    for at, word in ticks[1:-1]:
        if at - kept[-1][0] >= _APART and ticks[-1][0] - at >= _APART:
            kept.append((at, word))
    return (*kept, ticks[-1])


def _line(
    row: TrendRow, doses: Sequence[float], across: Callable[[float], float], up: Callable[[float], float]
) -> tuple[float, float, float, float] | None:
    """The least-squares line: through the means, with the slope."""
    known = [value.value for value in row.values if value.value is not None]
    if row.slope.value is None or len(known) < len(doses):
        return None
    middle, level = sum(doses) / len(doses), sum(known) / len(known)
    first, last = (level + row.slope.value * (dose - middle) for dose in (doses[0], doses[-1]))
    return across(doses[0]), up(first), across(doses[-1]), up(last)


def lines(comparison: Comparison) -> list[str]:
    """What a terminal says of it: a line on what stands out, one on the trends, one for each variant's overlap."""
    said = []
    record = comparison.exploration
    if record is not None and comparison.variants:
        said.append(
            f"Exploration: {len(record.findings)} of {record.tests} differences stand out, at most "
            f"{text.percent(record.q)} of them expected to be false alarms (Benjamini-Hochberg); it decides nothing."
        )
        if record.series is not None:
            trends = record.series.trends
            out = sum(row.adjusted is not None and row.adjusted <= record.q for row in trends)
            said.append(f"Series: {out} of {len(trends)} trends stand out, by the same measure.")
    for variant in comparison.variants:
        if variant.overlap is not None:
            said.append(f"Overlap of {variant.run.name} with its training data: {_counted(variant.overlap)}.")
    return said


def _counted(overlap: Overlap) -> str:
    touched = [
        f"{one.suite} {len(one.found)} of {one.items} items ({one.exact} whole)" for one in overlap.suites if one.found
    ]
    return "; ".join(touched) or "no item of any suite"
