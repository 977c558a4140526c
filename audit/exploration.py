"""What there is to look at in a comparison besides its rules: many differences, a series, small groups, wordings.

Nothing here decides. The gate's rules are fixed beforehand; this reads everything that was measured and says what
stands out, how sure that is after so much looking, and what a number owes to small groups or to its templates' words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit.errors import UsageError
from audit.gate import Key
from audit.gate_pairing import Pairing, Table, pair_runs, tables
from audit.metrics import multiplicity, pooling, registry, trend, wording
from audit.metrics.estimate import Estimate
from audit.metrics.paired import Contrast, contrast, pair_units
from audit.metrics.units import Units
from audit.results import Run
from audit.schema import (
    Comparison,
    Difference,
    Exploration,
    Finding,
    PooledGroup,
    PooledRate,
    Series,
    Span,
    TrendRow,
    WordingRow,
)
from audit.summary import describe, facets

FALSE_ALARMS = 0.1
"""Largest expected share of false alarms among what is pointed out."""
LEVEL = 0.95
"""Two-sided level of differences, and the least of findings."""
SMALL_GROUP = 100
"""Units under which a group is small: a rate with such a group is partially pooled."""


def explore(
    runs: Sequence[Run],
    names: Sequence[str],
    pairs: Sequence[Pairing],
    differences: Sequence[Sequence[Difference]],
) -> Exploration:
    """Everything that is looked at without being asked for.

    Args:
        runs: the base, then its variants.
        names: of these in the comparison.
        pairs: the base with each variant.
        differences: of each variant, all rows.

    Returns:
        Which differences stand out, rates of small groups drawn together, and the share of the wording.
    """
    base = runs[0]
    own = {key: units for pair in pairs for key, units in pair.base.items()}
    seen = {key[0] for key in own}
    own |= tables(base, [name for name in base.suites if name not in seen])
    sides = list(zip(names, runs, [own, *(pair.variant for pair in pairs)], strict=True))
    rows = [row for one in differences for row in one]
    # The sign-flip test keeps clusters together and is there for every metric; McNemar's is not, and is the same
    # test where it is.
    chosen = multiplicity.explore([row.sign_flip_p for row in rows], FALSE_ALARMS)
    if chosen.level is not None:
        # Where most tests stand out the level would fall under that of all other intervals.
        chosen = replace(chosen, level=max(chosen.level, LEVEL))
    return Exploration(
        q=chosen.q, tests=chosen.tests, untested=len(rows) - chosen.tests, level=chosen.level,
        findings=tuple(_findings(base, pairs, names[1:], differences, chosen)),
        pooled=tuple(row for name, run, table in sides for row in _pooled(name, run, table)),
        wordings=tuple(_wordings(base, sides, pairs)),
    )  # fmt: skip


def described(run: Run, key: Key) -> dict[str, Any]:
    """The fields that say which number a record is about.

    Args:
        run: that has the number.
        key: (suite, metric, scorer).
    """
    smoke = {scorer["name"]: bool(scorer["smoke"]) for scorer in run.record["scorers"]}
    metric = registry.get(key[1])
    return describe(key[0], metric.reading(key[2]) if key[2] else metric, run.answers.get(key[0], ()), smoke)


def span(found: Estimate | Contrast) -> Span:
    """A number with its interval, for the record."""
    return Span(value=found.value, low=found.low, high=found.high, method=found.method)


# What stands out.


def _findings(
    base: Run,
    pairs: Sequence[Pairing],
    names: Sequence[str],
    differences: Sequence[Sequence[Difference]],
    chosen: multiplicity.Exploration,
) -> Iterator[Finding]:
    """The differences that stand out, their intervals at the level which having been chosen asks for."""
    places = [(pair, name, row) for pair, name, rows in zip(pairs, names, differences, strict=True) for row in rows]
    for (pair, name, row), adjusted, found in zip(places, chosen.adjusted, chosen.found, strict=True):
        if not found:
            continue
        assert chosen.level is not None and adjusted is not None and row.sign_flip_p is not None
        key = (row.suite, row.metric, row.scorer)
        before, after = (_part(side[key], row.group, base.suites[row.suite]) for side in (pair.base, pair.variant))
        kept = {field: getattr(row, field) for field in ("group", "base", "tuned", *_HEAD)}
        yield Finding(
            **kept, run=name, p=row.sign_flip_p, adjusted=adjusted,
            change=span(contrast(pair_units(before, after), level=chosen.level, seed=base.seed)),
        )  # fmt: skip


_HEAD = ("suite", "metric", "variant", "label", "scorer", "smoke", "direction", "target", "unit")


def _part(units: Units, group: str, suite: Mapping[str, Any]) -> Units:
    """The units of one row of the tables."""
    return next(part for name, part in facets(units, suite) if name == group)


# Small groups.


def _pooled(name: str, run: Run, table: Table) -> Iterator[PooledRate]:
    """Rates of one run that have a small group, drawn towards all groups.

    Groups alone are pooled: other breakdowns hold kinds of item that are meant to differ.
    """
    for key, units in table.items():
        if "group" not in run.suites[key[0]]["breakdown"] or units.statistic.kind != "rate":
            continue
        sizes = [len(units.where("group", group).ids) for group in units.members("group")]
        if len(sizes) < 2 or min(sizes) >= SMALL_GROUP:
            continue
        found = pooling.pool(units, seed=run.seed)
        order = [group for group in run.suites[key[0]]["groups"] if group in found.groups]
        groups = tuple(
            PooledGroup(
                group=group, n=one.raw.n, clusters=one.raw.clusters, missing=one.raw.missing, raw=span(one.raw),
                pooled=span(one.pooled), weight=one.weight,
            )
            for group in dict.fromkeys([*order, *found.groups]) for one in [found.groups[group]]
        )  # fmt: skip
        yield PooledRate(
            **described(run, key), run=name, groups=groups, spread=span(found.spread), level=found.spread.level
        )


# Wording.


def _wordings(base: Run, sides: Sequence[tuple[str, Run, Table]], pairs: Sequence[Pairing]) -> Iterator[WordingRow]:
    """Metrics whose templates hold several units: each run's own value, then each variant's change."""
    for name, run, table in sides:
        for key, units in table.items():
            if _worded(units):
                yield from _wording(described(run, key), name, False, wording.sensitivity(units, seed=run.seed))
    for (name, _, _), pair in zip(sides[1:], pairs, strict=True):
        for key, before, after in _comparable(pair):
            if _worded(before):
                found = wording.sensitivity_of_change(before, after, seed=base.seed)
                yield from _wording(described(base, key), name, True, found)


def _worded(units: Units) -> bool:
    """Whether some template holds several units that have values of their own."""
    return not units.statistic.pseudo and len(set(units.clusters)) < len(units.ids)


def _wording(head: Mapping[str, Any], name: str, change: bool, found: wording.Wording) -> Iterator[WordingRow]:
    """The record; none where units do not vary, so that there is no spread to share out."""
    if found.share.value is not None:
        yield WordingRow(
            **head, run=name, change=change, share=span(found.share), another=span(found.another),
            level=found.share.level, n=found.share.n, templates=found.share.clusters, missing=found.share.missing,
        )  # fmt: skip


def _comparable(pair: Pairing) -> Iterator[tuple[Key, Units, Units]]:
    """Numbers that both runs have and measure alike."""
    for key, before in pair.base.items():
        if key not in pair.apart and key in pair.variant:
            yield key, before, pair.variant[key]


# Series.


def doses_of(words: str) -> tuple[float, ...]:
    """The doses of a series as written on a command line: ``"0,100,200"``.

    Raises:
        UsageError: a part is no number.
    """
    try:
        return tuple(float(part) for part in words.split(","))
    except ValueError:
        raise UsageError(f"--series {words!r}: give numbers, comma-separated, the base's first: 0,100,200") from None


def attach_series(found: Comparison, runs: Sequence[Run | str | Path], doses: Sequence[float]) -> Comparison:
    """The comparison with the trend of every metric along its runs.

    Args:
        found: of these runs.
        runs: the base, then its variants, in the comparison's order.
        doses: how far each run is (steps, share of new data), rising.

    Returns:
        The same comparison with a series, in which only metrics stand that all runs measure alike.

    Raises:
        UsageError: fewer than three runs, as many doses as runs are not given or they do not rise, or nothing can be
            compared along all runs.
    """
    if len(doses) != len(runs):
        raise UsageError(f"a series has one number a run, the base's first; got {len(doses)} for {len(runs)} runs")
    if len(runs) < 3:
        raise UsageError(f"a series needs a base and two variants or more; got {len(runs)} runs")
    base, *others = (run if isinstance(run, Run) else Run(run) for run in runs)
    tracks = [{key: (before, after) for key, before, after in _comparable(pair_runs(base, one))} for one in others]
    common = [key for key in tracks[0] if all(key in one for one in tracks)]
    if not common:
        raise UsageError("no metric is measured alike by all runs of the series; run all of them with one plan")
    series = [[tracks[0][key][0], *(one[key][1] for one in tracks)] for key in common]
    trends = [trend.trend(units, doses, seed=base.seed) for units in series]
    adjusted = multiplicity.explore([one.p for one in trends], FALSE_ALARMS).adjusted
    rows = tuple(_trend(described(base, key), one, p) for key, one, p in zip(common, trends, adjusted, strict=True))
    names = (found.base.name, *(one.run.name for one in found.variants))
    assert found.exploration is not None
    kept = Series(runs=names, doses=tuple(doses), trends=rows)
    return found.model_copy(update={"exploration": found.exploration.model_copy(update={"series": kept})})


def _trend(head: Mapping[str, Any], found: trend.Trend, adjusted: float | None) -> TrendRow:
    return TrendRow(
        **head, values=tuple(span(one) for one in found.values), slope=span(found.slope), level=found.slope.level,
        n=found.slope.n, clusters=found.slope.clusters, missing=found.slope.missing, p=found.p, adjusted=adjusted,
        monotone=found.monotone,
    )  # fmt: skip
