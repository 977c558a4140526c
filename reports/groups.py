"""The chart by demographic group: the main metric of a suite, base and variants side by side, a row a group.

In the manner of the figure of Phi-2's safety scores over the 13 groups of ToxiGen (Microsoft Research, December 2023:
"Phi-2: the surprising power of small language models"), with what that figure lacks: intervals and the number of items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.schema import Comparison, SummaryRow
from reports import forest, heatmap, text
from reports.charts import Series, identity

ALL = "all"
LEAST_GROUPS = 4
MOST_GROUPS = 60
"""Above this many groups a chart stops being readable; the suite's tables remain."""
FEW = 10
"""Under this many clusters a group is marked: its interval is wide and rests on little."""
_RUNS_PER_CHART = 4

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One run's value for one group, as it stands beside the drawing."""

    series: Series
    number: str
    interval: str


@dataclass(frozen=True, slots=True)
class Row:
    """A group, or all groups together."""

    name: str
    whole: bool
    n: str
    few: bool
    height: float
    spots: tuple[forest.Spot, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """The main metric of one suite by group, for up to four runs."""

    id: str
    head: SummaryRow
    """Any row of the metric: its words, unit and direction."""
    series: tuple[Series, ...]
    axis: forest.Axis
    sides: tuple[str, str] | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One suite with at least four groups."""

    id: str
    suite: str
    title: str
    charts: tuple[Chart, ...]
    maps: tuple[heatmap.Map, ...]


def sections(comparison: Comparison, series: Sequence[Series]) -> tuple[Section, ...]:
    """Charts and heat maps of every suite with at least four groups.

    Args:
        comparison: a base with its variants, or a single run.
        series: its runs in order, the base first.

    Returns:
        Suites in the order of their declarations, then those that only the summaries know; groups in the order in
        which their suite names them.
    """
    summaries = (comparison.summary, *(one.summary for one in comparison.variants))
    declared = {str(suite.get("name", "")): suite for suite in comparison.suites}
    seen = dict.fromkeys(row.suite for summary in summaries for row in summary)
    found = []
    for at, name in enumerate(dict.fromkeys([*declared, *seen])):
        about = declared.get(name, {})
        given = about.get("groups")
        rows = [[row for row in summary if row.suite == name] for summary in summaries]
        groups = in_order(rows, [str(group) for group in given] if isinstance(given, list | tuple) else [])
        if len(groups) < LEAST_GROUPS:
            continue
        label = identity("by-group", str(at))
        charts = _charts(label, rows, groups, series) if len(groups) <= MOST_GROUPS else ()
        maps = heatmap.maps(label, name, rows, groups, series, comparison.variants)
        if charts or maps:
            found.append(Section(label, name, str(about.get("title") or name), charts, maps))
    return tuple(found)


def in_order(rows: Sequence[Sequence[SummaryRow]], given: Sequence[str]) -> tuple[str, ...]:
    """The groups that were measured: as the suite names them, then any others that are no breakdown (``key=value``)."""
    seen = dict.fromkeys(row.group for one in rows for row in one if row.group != ALL)
    others = [group for group in seen if group not in given and not re.match(r"[A-Za-z]\w*=", group)]
    return tuple(dict.fromkeys([*(group for group in given if group in seen), *others]))


def _charts(label: str, rows: Sequence[Sequence[SummaryRow]], groups: Sequence[str], series: Sequence[Series]
            ) -> tuple[Chart, ...]:  # fmt: skip
    """The chart of a suite's main metric; more than four runs are spread over several, the base in each."""
    key = main_metric(rows, groups)
    if key is None:
        return ()
    found = {(i, row.group): row for i, one in enumerate(rows) for row in one if key_of(row) == key}
    spread = range(1, max(len(series), 2), _RUNS_PER_CHART - 1)
    return tuple(
        _chart(f"{label}-{start}", found, groups, (series[0], *series[start : start + _RUNS_PER_CHART - 1]))
        for start in spread
    )


def main_metric(rows: Sequence[Sequence[SummaryRow]], groups: Sequence[str]) -> Key | None:
    """The first metric of a suite that has a value over all groups and rows for at least four of them."""
    keys = dict.fromkeys(key_of(row) for one in rows for row in one if not text.informs(row.label))
    for key in keys:
        names = {row.group for one in rows for row in one if key_of(row) == key}
        if ALL in names and len(names & set(groups)) >= LEAST_GROUPS:
            return key
    return None


def key_of(row: SummaryRow) -> Key:
    """What tells a metric from all others."""
    return (row.suite, row.metric, row.variant, row.scorer)


def _chart(
    label: str, found: Mapping[tuple[int, str], SummaryRow], groups: Sequence[str], series: tuple[Series, ...]
) -> Chart:
    """One chart: all groups together first, then a row a group."""
    head = next(iter(found.values()))
    shown = [row for (i, _), row in found.items() if i in {one.index for one in series}]
    whole = found.get((series[0].index, ALL))
    lines = [] if head.target is None else [forest.Line(head.target, "target", "neutral")]
    if whole is not None and whole.value is not None:
        lines.append(forest.Line(whole.value, "whole", f"{text.short(series[0].name, 16)}, all groups"))
    axis = forest.axis(
        [x for row in shown for x in (row.low, row.value, row.high)],
        lines=lines,
        bounds=(0.0, 1.0) if head.unit == "share" else None,
        tick=lambda at: text.axis(at, head.unit),
    )
    sides = {"lower": ("better", "worse"), "higher": ("worse", "better")}.get(head.direction)
    rows = tuple(_row(group, found, series, axis) for group in (ALL, *groups))
    return Chart(label, head, series, axis, sides, rows)


def _row(group: str, found: Mapping[tuple[int, str], SummaryRow], series: Sequence[Series], axis: forest.Axis) -> Row:
    """One group's runs under each other."""
    cells = [(one, found.get((one.index, group))) for one in series]
    there = [row for _, row in cells if row is not None]
    marks = [
        forest.Mark(one.look, one.shape, *((row.value, row.low, row.high) if row else (None, None, None)), "")
        for one, row in cells
    ]
    entries = tuple(
        Entry(one, text.number(row.value, row.unit), "" if row.value is None
              else text.interval(row.low, row.high, row.unit)) if row else Entry(one, "not measured", "")
        for one, row in cells
    )  # fmt: skip
    counts = dict.fromkeys(text.count(row.n) for row in there)
    few = any(row.clusters < FEW for row in there)
    return Row("all groups" if group == ALL else group, group == ALL, " / ".join(counts), few and group != ALL,
               forest.tall(len(marks)), forest.spots(marks, axis), entries)  # fmt: skip
