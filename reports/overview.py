"""The forest plot of all metrics: a row for each, its runs under each other, the numbers beside it.

Rows share an axis only where one number means the same in all of them. So the rules of the gate stand in one block, in
units of each rule's margin, and all other metrics in one block for each unit, in that unit. Every row is turned so that
further right is worse; what has no worse side is drawn as it is, in a block of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from audit.schema import Comparison, Difference, RuleResult, SummaryRow, VariantComparison
from reports import forest, harm, text
from reports.charts import Series

ALL = "all"
Key = tuple[str, str, str, str]
"""(suite, metric, variant of the metric, scorer)."""
Changes = Mapping[tuple[int, Key, str], Difference]
"""Paired differences by run, metric and group."""
MOST_RULES = 24
"""Above this many rules those that every variant passes are folded."""
_REACH = (-4.0, 6.0)
"""How much of the axis of margins is drawn; what lies beyond ends in an arrow."""
UNITS = {
    "share": "percentage points", "score": "points of a score from 0 to 1", "nats": "nats",
    "nats/token": "nats per token", "bits/byte": "bits per byte",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One run's number in a row, as it stands beside the drawing."""

    series: Series
    number: str
    interval: str
    verdict: str
    """Of the row's rule; empty where there is none."""
    beyond: bool
    """Whether the drawing cuts it off."""


@dataclass(frozen=True, slots=True)
class Row:
    """A metric, or a rule on one of its groups."""

    label: str
    suite: str
    about: str
    """Which way is better, the margin, the base's value: a short line under the label."""
    smoke: bool
    height: float
    spots: tuple[forest.Spot, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that share an axis."""

    title: str
    heading: str
    """Above the numbers."""
    sides: tuple[str, str] | None
    """Words under the ends of the axis."""
    axis: forest.Axis
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The plot: what is read first, and what is folded."""

    main: tuple[Block, ...]
    rest: tuple[Block, ...]
    folded: int
    """Rows in ``rest``."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One run in a row before it is drawn; numbers in the block's own unit."""

    series: Series
    mark: forest.Mark
    number: str
    interval: str
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A row before it is drawn."""

    key: Key
    kind: str
    """``rule``, ``harm``, ``informs`` or ``value``: with the unit it says which rows share an axis."""
    unit: str
    label: str
    about: str
    smoke: bool
    lines: tuple[_Line, ...]


def overview(comparison: Comparison, series: Sequence[Series]) -> Overview:
    """Lay the plot out.

    Args:
        comparison: a base with its variants, or a single run.
        series: its runs in order, the base first.

    Returns:
        In front every rule of the gate that compares, and each suite's first metric; folded all other metrics that have
        a value over all groups. Without variants the values themselves.
    """
    heads = _heads(comparison)
    first: dict[str, Key] = {}
    for key in heads:
        first.setdefault(key[0], key)
    if not comparison.variants:
        drafts = [_values(key, head, comparison.summary, series[0]) for key, head in heads.items()]
        return _arranged(drafts, set(first.values()))
    variants = list(zip(series[1:], comparison.variants, strict=True))
    ruled = _ruled(variants)
    changes = {(one.index, _key(row), row.group): row for one, variant in variants for row in variant.differences}
    drafts = [_rules(key, group, rules, series[1:], changes) for (key, group), rules in ruled.items()]
    base = {_key(row): row for row in comparison.summary if row.group == ALL}
    drafts += [
        _changes(key, head, base.get(key), series[1:], changes)
        for key, head in heads.items()
        if (key, ALL) not in ruled
    ]
    return _arranged(drafts, set(first.values()))


def _heads(comparison: Comparison) -> dict[Key, SummaryRow]:
    """A row of every metric that any run has over all groups, in the order of the summaries."""
    found: dict[Key, SummaryRow] = {}
    for row in [*comparison.summary, *(row for one in comparison.variants for row in one.summary)]:
        if row.group == ALL:
            found.setdefault(_key(row), row)
    order = {name: i for i, name in enumerate(dict.fromkeys(key[0] for key in found))}
    return dict(sorted(found.items(), key=lambda one: order[one[0][0]]))


def _key(row: SummaryRow | Difference) -> Key:
    return (row.suite, row.metric, row.variant, row.scorer)


def _arranged(drafts: Sequence[_Draft], front: set[Key]) -> Overview:
    """Rows put into blocks: rules and the suites' first metrics in front, the rest folded.

    Of very many rules, e.g. one for each group, those that every variant passes are folded.
    """
    many = sum(draft.kind == "rule" for draft in drafts) > MOST_RULES
    main: list[_Draft] = []
    rest: list[_Draft] = []
    for draft in drafts:
        settled = many and all(line.verdict in ("pass", "") for line in draft.lines)
        shown = not settled if draft.kind == "rule" else draft.key in front
        (main if shown else rest).append(draft)
    return Overview(_blocks(main), _blocks(rest), len(rest))


def _blocks(drafts: Sequence[_Draft]) -> tuple[Block, ...]:
    """One block for each kind and unit; rules first, what only informs last."""
    order = ("rule", "harm", "value", "informs")
    names = dict.fromkeys((draft.kind, draft.unit) for draft in drafts)
    return tuple(
        _block(kind, unit, [draft for draft in drafts if (draft.kind, draft.unit) == (kind, unit)])
        for kind, unit in sorted(names, key=lambda name: order.index(name[0]))
    )


def _block(kind: str, unit: str, drafts: Sequence[_Draft]) -> Block:
    """Rows on their common axis."""
    marks = [line.mark for draft in drafts for line in draft.lines]
    values = [x for mark in marks for x in (mark.value, mark.low, mark.high, *(mark.deciding or ()))]
    # A share as an axis of values never leaves 0 to 1; its change may, but not what was measured of it.
    bounds = {"value": (0.0, 1.0), "harm": (-1.0, 1.0), "informs": (-1.0, 1.0)}.get(kind) if unit == "share" else None
    lines = [forest.Line(0.0, "zero", "no change")] if kind != "value" else []
    lines += [forest.Line(1.0, "margin", "margin")] if kind == "rule" else []
    axis = forest.axis(
        [*values, -0.5, 1.5] if kind == "rule" else values,
        lines=lines,
        bounds=bounds,
        reach=_REACH if kind == "rule" else None,
        tick=_tick(kind, unit),
    )
    title, heading, sides = _words(kind, unit)
    return Block(title, heading, sides, axis, tuple(_row(draft, axis) for draft in drafts))


def _tick(kind: str, unit: str) -> Callable[[float], str]:
    """How the block's axis writes its numbers; the unit stands in the block's title."""
    if kind == "value":
        return lambda at: text.axis(at, unit)
    scale = 100.0 if unit == "share" and kind != "rule" else 1.0
    return lambda at: text.axis(round(scale * at, 9) + 0.0, "")


def _words(kind: str, unit: str) -> tuple[str, str, tuple[str, str] | None]:
    """Title, heading of the numbers, words under the axis."""
    named = UNITS.get(unit, unit)
    if kind == "rule":
        return "Rules of the gate, in units of each rule\u2019s margin", "Harm (interval that decided)", _SIDES
    if kind == "harm":
        return f"Metrics without a rule, in {named}", "Harm (interval)", _SIDES
    if kind == "informs":
        return f"For information, in {named}", "Change (interval)", ("falls", "rises")
    shown = {"share": "Shares", "score": "Scores from 0 to 1"}.get(unit, text.headline(named))
    return shown, "Value (interval)", None


_SIDES = ("better", "worse")


def _row(draft: _Draft, axis: forest.Axis) -> Row:
    """A draft on its axis."""
    spots = forest.spots([line.mark for line in draft.lines], axis)
    entries = tuple(
        Entry(line.series, line.number, line.interval, line.verdict, bool(spot.beyond))
        for line, spot in zip(draft.lines, spots, strict=True)
    )
    return Row(draft.label, draft.key[0], draft.about, draft.smoke, forest.tall(len(spots)), spots, entries)


# What the rows hold.


def _ruled(
    variants: Sequence[tuple[Series, VariantComparison]],
) -> Mapping[tuple[Key, str], Mapping[int, RuleResult]]:
    """The comparing rules that can be drawn, by metric and group, then by run; margins of 0 have no unit to draw in."""
    found: dict[tuple[Key, str], dict[int, RuleResult]] = {}
    for one, variant in variants:
        rows: list[Difference | SummaryRow] = [*variant.differences, *variant.summary]
        # Backwards, so that of several forms of a metric the first is taken, as everywhere on the page.
        known = {(row.suite, row.metric, row.scorer): row.variant for row in reversed(rows)}
        for rule in variant.gate.rules if variant.gate else ():
            if rule.kind == "non-inferiority" and rule.margin > 0:
                form = known.get((rule.suite, rule.metric, rule.scorer), "")
                found.setdefault(((rule.suite, rule.metric, form, rule.scorer), rule.group), {})[one.index] = rule
    return found


def _rules(
    key: Key, group: str, rules: Mapping[int, RuleResult], variants: Sequence[Series], changes: Changes
) -> _Draft:
    """A rule over all variants, in units of its margin."""
    rule = next(iter(rules.values()))
    known = next((found for one in variants if (found := changes.get((one.index, key, group))) is not None), None)
    unit = known.unit if known else ""
    lines = tuple(_ruled_line(one, rules.get(one.index), unit) for one in variants)
    margins = dict.fromkeys(text.number(r.margin, unit, signed=True).lstrip("+") for r in rules.values())
    about = [f"margin {' / '.join(margins)}"]
    if known is not None:
        about = [text.direction(known.direction, known.target, known.unit, known.label), *about]
        about += [f"base {text.number(known.base, unit)}"] if known.base is not None else []
    label = known.label if known else rule.label
    label = label if group == ALL or not known else f"{label}, {group}"
    return _Draft(key, "rule", "", label, "; ".join(about), bool(known and known.smoke), lines)


def _ruled_line(series: Series, rule: RuleResult | None, unit: str) -> _Line:
    """One variant under a rule, with the interval that decided."""
    if rule is None:
        return _Line(series, forest.Mark(series.look, series.shape, None, None, None, ""), "no rule", "")
    decided = None if rule.low is None or rule.high is None else (rule.low / rule.margin, rule.high / rule.margin)
    at = None if rule.harm is None else rule.harm / rule.margin
    mark = forest.Mark(series.look, series.shape, at, None, None, "", decided)
    interval = "" if rule.harm is None else text.interval(rule.low, rule.high, unit, signed=True)
    interval = f"{text.percent(rule.level)}: {interval}" if decided else interval
    return _Line(series, mark, text.number(rule.harm, unit, signed=True), interval, rule.verdict)


def _changes(
    key: Key, head: SummaryRow, whole: SummaryRow | None, variants: Sequence[Series], changes: Changes
) -> _Draft:
    """A metric without a rule over all variants, as harm where it has a worse side; ``whole`` is the base's value."""
    found = [(one, changes.get((one.index, key, ALL))) for one in variants]
    kind = "harm" if harm.turns(head) else "informs"
    lines = tuple(_changed_line(one, change, whole, kind, head.unit) for one, change in found)
    about = text.direction(head.direction, head.target, head.unit, head.label)
    base = next((change.base for _, change in found if change is not None and change.base is not None), None)
    if base is not None:
        about += f"; base {text.number(base, head.unit)}"
    return _Draft(key, kind, head.unit, head.label, about, head.smoke, lines)


def _changed_line(series: Series, change: Difference | None, whole: SummaryRow | None, kind: str, unit: str) -> _Line:
    """One variant's change in the metric's unit."""
    if change is None:
        return _Line(series, forest.Mark(series.look, series.shape, None, None, None, ""), "not compared", "")
    found = harm.of_change(change, whole) if kind == "harm" else None
    value, low, high = (found.value, found.low, found.high) if found else (None, None, None)
    if kind == "informs":
        value, low, high = change.difference, change.low, change.high
    interval = "" if value is None else text.interval(low, high, unit, signed=True)
    mark = forest.Mark(series.look, series.shape, value, low, high, "")
    level = f"{text.percent(change.level)}: " if low is not None and high is not None else ""
    return _Line(series, mark, text.number(value, unit, signed=True), level + interval)


def _values(key: Key, head: SummaryRow, summary: Sequence[SummaryRow], one: Series) -> _Draft:
    """A metric of a single run."""
    row = next((row for row in summary if _key(row) == key and row.group == ALL), head)
    mark = forest.Mark(one.look, one.shape, row.value, row.low, row.high, "")
    level = f"{text.percent(row.level)}: " if row.low is not None and row.high is not None else ""
    interval = "" if row.value is None else level + text.interval(row.low, row.high, row.unit)
    about = f"{text.direction(head.direction, head.target, head.unit, head.label)}; n={text.count(row.n)}"
    line = _Line(one, mark, text.number(row.value, row.unit), interval)
    return _Draft(key, "value", head.unit, head.label, about, head.smoke, (line,))
