"""Groups by metrics as a table whose cells are coloured: where did a variant become worse, and for whom?

Numbers are harm, in each metric's own unit: plus is worse in every column. A cell is deeply coloured only where its
interval leaves no change out; a pale cell leans to a side and may be chance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from audit.schema import Difference, SummaryRow, VariantComparison
from reports import harm, text
from reports.charts import Series

ALL = "all"
_ORDER = {"fail": 0, "incomplete": 1, "inconclusive": 2, "pass": 3}

_HALF_A_PAGE = 58
"""Letters of the columns' heads that fit beside the groups' names on half the width of a printed page."""

Key = tuple[str, str, str, str]
Step = Literal[-4, -3, -2, -1, 0, 1, 2, 3, 4]
"""Colour of a cell: 4 much worse ... 0 no side ... -4 much better; 1 and -1 may be chance."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One group in one metric."""

    number: str
    """The harm (of a single run the value) without its unit; words where there is no estimate."""
    step: Step | None
    """None where there is no estimate."""

    @property
    def look(self) -> str:
        """Class of the style sheet: ``w1`` to ``w4`` worse, ``b1`` to ``b4`` better, ``z`` neither, ``x`` unknown."""
        if self.step is None:
            return "x"
        return "z" if self.step == 0 else f"{'w' if self.step > 0 else 'b'}{abs(self.step)}"


@dataclass(frozen=True, slots=True)
class Column:
    """A metric."""

    label: str
    unit: str
    direction: str
    smoke: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A group."""

    name: str
    n: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Map:
    """One run's heat map of one suite."""

    id: str
    suite: str
    series: Series
    compares: bool
    """Whether numbers are changes from the base (else values of a single run, coloured by group against all groups)."""
    level: float
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    coloured: int
    """Cells whose interval leaves no change out."""
    estimated: int
    """Cells with an interval."""

    @property
    def slim(self) -> bool:
        """Whether two of it fit beside each other on paper: a column is as wide as the longest word of its head."""
        return sum(max(map(len, column.label.split()), default=0) for column in self.columns) <= _HALF_A_PAGE

    @property
    def chance(self) -> float:
        """How many cells chance alone would colour, were there no change at all."""
        return (1 - self.level) * self.estimated


@dataclass(frozen=True, slots=True)
class _Found:
    """A cell before its colour is known."""

    harm: harm.Harm | None
    number: str
    n: int


def maps(
    identity: str,
    suite: str,
    rows: Sequence[Sequence[SummaryRow]],
    groups: Sequence[str],
    series: Sequence[Series],
    variants: Sequence[VariantComparison],
) -> tuple[Map, ...]:
    """The heat maps of one suite.

    Args:
        identity: prefix of ids.
        suite: its name.
        rows: summary rows of that suite, a list for each run.
        groups: its groups in order.
        series: the runs, the base first.
        variants: records of the variants; none for a single run.

    Returns:
        One map a variant, the worst verdict first; without variants one of the single run. None where no metric has a
        worse side and rows for its groups. Colours of one suite's maps are on one scale: a metric's deepest colour is
        the largest change of any group in any variant.
    """
    if not variants:
        found = {(row.group, _key(row)): row for row in rows[0]}
        heads = _heads(rows[0], groups, whole=True)
        values = {
            (group, key): _value(found.get((group, key)), found[ALL, key]) for group, key in product(groups, heads)
        }
        scales = _scales([values], heads)
        return (_map(f"{identity}-h0", suite, series[0], groups, heads, values, scales, False),) if heads else ()
    changes = [[row for row in one.differences if row.suite == suite] for one in variants]
    heads = _heads([row for one in changes for row in one], groups)
    if not heads:
        return ()
    tables = []
    base = {(row.group, _key(row)): row for row in rows[0]}
    for one in changes:
        known = {(row.group, _key(row)): row for row in one}
        tables.append({at: _change(known.get(at), base.get(at)) for at in product(groups, heads)})
    scales = _scales(tables, heads)
    ordered = sorted(range(len(variants)), key=lambda i: _rank(variants[i]))
    return tuple(
        _map(f"{identity}-h{i + 1}", suite, series[i + 1], groups, heads, tables[i], scales, True) for i in ordered
    )


def _rank(variant: VariantComparison) -> int:
    return _ORDER[variant.gate.verdict] if variant.gate else len(_ORDER)


def _key(row: SummaryRow | Difference) -> Key:
    return (row.suite, row.metric, row.variant, row.scorer)


def _heads(
    rows: Sequence[SummaryRow] | Sequence[Difference], groups: Sequence[str], *, whole: bool = False
) -> dict[Key, SummaryRow | Difference]:
    """A row of each metric that has a worse side and rows for at least two groups; with ``whole`` also over all."""
    members: dict[Key, set[str]] = {}
    heads: dict[Key, SummaryRow | Difference] = {}
    for row in rows:
        if harm.turns(row):
            heads.setdefault(_key(row), row)
            members.setdefault(_key(row), set()).add(row.group)
    known = set(groups)
    return {
        key: head for key, head in heads.items() if len(members[key] & known) > 1 and (not whole or ALL in members[key])
    }


def _scales(tables: Sequence[Mapping[tuple[str, Key], _Found]], keys: Iterable[Key]) -> dict[Key, float]:
    """The largest harm of each metric that is more than chance, over all groups and variants; 0 where there is none."""
    scales = dict.fromkeys(keys, 0.0)
    for table in tables:
        for (_, key), found in table.items():
            if found.harm is not None and found.harm.certain and math.isfinite(found.harm.value):
                scales[key] = max(scales[key], abs(found.harm.value))
    return scales


def _change(found: Difference | None, base: SummaryRow | None) -> _Found:
    """A group's change as harm."""
    if found is None:
        return _Found(None, "not compared", 0)
    at = harm.of_change(found, base)
    if at is None:
        return _Found(None, "none", found.n)
    return _Found(at, _bare(text.number(at.value, found.unit, signed=True)), found.n)


def _value(found: SummaryRow | None, whole: SummaryRow) -> _Found:
    """A group's value in a single run, coloured by how much worse it is than over all groups."""
    if found is None:
        return _Found(None, "not measured", 0)
    if found.value is None:
        return _Found(None, "none", found.n)
    return _Found(harm.of_gap(found, whole), _bare(text.number(found.value, found.unit)), found.n)


def _bare(number: str) -> str:
    """A number without its unit, which stands in the column's head."""
    return number.split("\u00a0")[0]


def _map(
    identity: str,
    suite: str,
    series: Series,
    groups: Sequence[str],
    heads: Mapping[Key, SummaryRow | Difference],
    cells: Mapping[tuple[str, Key], _Found],
    scales: Mapping[Key, float],
    compares: bool,
) -> Map:
    """One run's map, coloured."""
    found = [cells[group, key] for group in groups for key in heads]
    rows = tuple(
        Row(
            group,
            _counts([cells[group, key].n for key in heads]),
            tuple(_cell(cells[group, k], scales[k]) for k in heads),
        )
        for group in groups
    )
    columns = tuple(
        Column(
            head.label,
            ("pp" if compares else "%") if head.unit == "share" else head.unit,
            text.direction(head.direction, head.target, head.unit, head.label),
            head.smoke,
        )
        for head in heads.values()
    )
    sure = [
        one.harm for one in found if one.harm is not None and one.harm.low is not None and one.harm.high is not None
    ]
    level = next(iter(heads.values())).level
    return Map(identity, suite, series, compares, level, columns, rows, sum(at.certain for at in sure), len(sure))


def _counts(counts: Sequence[int]) -> str:
    """How many units a group's cells rest on: one number, or the least and the most."""
    some = [n for n in counts if n]
    if not some:
        return "0"
    ends = dict.fromkeys(text.count(n) for n in (min(some), max(some)))
    return " to ".join(ends)


def _cell(found: _Found, scale: float) -> Cell:
    """A cell with its colour."""
    at = found.harm
    if at is None:
        return Cell(found.number, None)
    return Cell(found.number, _step(at, scale))


def _step(at: harm.Harm, scale: float) -> Step:
    """Pale where the interval holds no change; else a third, two thirds or all of the way to the metric's largest."""
    if at.value == 0 or math.isnan(at.value):
        return 0
    if not at.certain:
        return 1 if at.value > 0 else -1
    share = abs(at.value) / scale if scale > 0 and math.isfinite(at.value) else 1.0
    if share > 2 / 3:
        return 4 if at.value > 0 else -4
    if share > 1 / 3:
        return 3 if at.value > 0 else -3
    return 2 if at.value > 0 else -2
