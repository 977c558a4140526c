"""What a page shows, in which order: a comparison's records gathered by suite, metric, group and run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.schema import (
    Comparison,
    Difference,
    GateResult,
    PolicyUse,
    RuleResult,
    SummaryRow,
    VariantComparison,
)
from reports import appendix, charts, forest, origin, overview, sentences
from reports.charts import Series
from reports.control import Panel, panels
from reports.corrected import Corrected, corrected
from reports.exploration import Overlapping, View, explored, overlaps
from reports.explorer import Explorer, explorer
from reports.groups import Section, sections
from reports.judges import Judges, judges
from reports.suites import Answers, answers

ALL = "all"
_ORDER = {"fail": 0, "incomplete": 1, "inconclusive": 2, "pass": 3}
_RUNS_PER_TABLE = 4

Key = tuple[str, str, str, str]
"""(suite, metric, variant of the metric, scorer)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One variant's change in one metric and group."""

    series: Series
    difference: Difference | None
    rule: RuleResult | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: each run's value, each variant's change."""

    name: str
    cells: tuple[tuple[Series, SummaryRow | None, Change | None], ...]

    def counts(self, field: str) -> str:
        """A count of all runs: once where they agree, else one after another in the order of the runs."""
        found = [str(getattr(row, field)) for _, row, _ in self.cells if row is not None]
        return found[0] if len(set(found)) == 1 else " / ".join(found)


@dataclass(frozen=True, slots=True)
class GroupTable:
    """A metric by the values of one facet, for up to four runs side by side."""

    title: str
    series: tuple[Series, ...]
    rows: tuple[GroupRow, ...]
    chart: forest.Chart | None


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one suite over all runs."""

    id: str
    head: SummaryRow
    """Any of its rows: the words, unit, direction and scorer are the same in all."""
    runs: tuple[tuple[Series, SummaryRow | None], ...]
    changes: tuple[Change, ...]
    values_chart: forest.Chart
    changes_chart: forest.Chart | None
    groups: tuple[GroupTable, ...]
    methods: tuple[str, ...]
    whole: bool
    """Whether any run has a value over all groups; a gap between groups has none."""


@dataclass(frozen=True, slots=True)
class SuiteView:
    """One suite: its own words, its metrics."""

    id: str
    name: str
    title: str
    about: tuple[tuple[str, str], ...]
    """(heading, text) in the order in which they are shown."""
    facts: tuple[tuple[str, str], ...]
    metrics: tuple[Metric, ...]
    answers: Answers


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule with what its record leaves to be looked up."""

    rule: RuleResult
    about: str
    """The metric, and the group where there is one: shorter than the rule's own words."""
    unit: str
    smoke: str
    """Name of the smoke-test scorer behind it; empty where there is none."""


@dataclass(frozen=True, slots=True)
class VariantView:
    """A variant's verdict."""

    id: str
    series: Series
    record: VariantComparison
    gate: GateResult | None
    rules: tuple[RuleView, ...]
    tally: tuple[tuple[str, int], ...]
    """(verdict, number of rules), worst first."""
    closest: RuleView | None
    """The rule that decided, or came nearest to it."""
    words: str
    """The verdict in one sentence, with its uncertainty."""
    plain: str
    """The same in units of what was declared tolerable; empty where that says nothing."""
    chart: forest.Chart | None
    policy: PolicyUse | None
    """What stands beside the verdict of a policy file."""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the templates read."""

    record: Comparison
    series: tuple[Series, ...]
    variants: tuple[VariantView, ...]
    judged: tuple[VariantView, ...]
    """Whatever a gate may have judged: the variants, else a single run to which a policy was applied."""
    reasons: tuple[tuple[str, str], ...]
    """(what the policy limits, why), in the policy's order; empty where there is no policy file."""
    suites: tuple[SuiteView, ...]
    examples: Explorer | None
    controls: tuple[Panel, ...]
    cautions: tuple[tuple[str, str], ...]
    """(whom it concerns, sentence); empty name for the whole page."""
    summary: str
    """How many variants had which verdict, in one sentence; of a single run what was measured."""
    passed: str
    """What a pass does not say; empty where nothing passed."""
    overview: overview.Overview
    by_group: tuple[Section, ...]
    smoke: tuple[str, ...]
    """Names of smoke-test scorers in use."""
    groups: tuple[str, ...]
    languages: tuple[str, ...]
    methods: tuple[str, ...]
    provenance: origin.Provenance
    appendix: appendix.Appendix
    commands: tuple[str, ...]
    judges: Judges
    labels: Corrected | None
    """Rates corrected by people's labels; None where none were given."""
    exploration: View | None
    """What stands out, trends, small groups and wordings."""
    overlaps: tuple[Overlapping, ...]
    """Of the variants whose training data were given."""
    digest: str
    """Ties a printed page to its data."""


def page(comparison: Comparison) -> Page:
    """Gather a comparison for the templates.

    Args:
        comparison: a comparison, or a single run (no variants).

    Returns:
        The page's content in reading order. Nothing of the comparison is left out.
    """
    series = (
        Series(0, comparison.base),
        *(Series(i, variant.run) for i, variant in enumerate(comparison.variants, start=1)),
    )
    suites = _suites(comparison, series)
    rows = [*comparison.summary, *(row for variant in comparison.variants for row in variant.summary)]
    uses = {use.run: use for use in (comparison.policy.uses if comparison.policy else ())}
    variants = tuple(
        _variant(one, v, uses.get(one.name), comparison) for one, v in zip(series[1:], comparison.variants, strict=True)
    )
    return Page(
        record=comparison,
        series=series,
        variants=variants,
        judged=variants or _alone(series[0], comparison, uses.get(series[0].name)),
        reasons=appendix.reasons(comparison),
        summary=_sentence(variants) if variants else sentences.single(comparison),
        passed=sentences.passed(comparison.variants),
        overview=overview.overview(comparison, series),
        by_group=sections(comparison, series),
        suites=suites,
        examples=explorer(comparison, series, _smoke(comparison, comparison.summary)),
        controls=panels(comparison, series),
        cautions=origin.cautions(comparison),
        smoke=_smoke(comparison, rows),
        groups=origin.unique(group for suite in comparison.suites for group in origin.texts(suite.get("groups"))),
        languages=origin.unique(_language(str(suite.get("language", "en"))) for suite in comparison.suites),
        methods=origin.unique(
            [row.method for row in rows] + [d.method for variant in comparison.variants for d in variant.differences]
        ),
        provenance=origin.provenance(series),
        appendix=appendix.appendix(comparison, series),
        commands=origin.commands(comparison),
        judges=judges(comparison, series),
        labels=corrected(comparison.labels),
        exploration=explored(comparison, series),
        overlaps=overlaps(comparison, series),
        digest=origin.digest(comparison),
    )


def _language(code: str) -> str:
    """A language's name in words where it is the one the project's own suites use, else its code."""
    return "English" if code == "en" else code


def _smoke(comparison: Comparison, rows: Iterable[SummaryRow]) -> tuple[str, ...]:
    """Names of the smoke-test scorers; a row names the value that it reads, ``scorer.value``."""
    known = [str(s.get("name", "")) for s in comparison.scorers if s.get("smoke")]
    read = [row.scorer for row in rows if row.smoke]
    return origin.unique([*known, *(name for name in read if not any(_belongs(name, scorer) for scorer in known))])


def _belongs(value: str, scorer: str) -> bool:
    """Whether a value such as ``embedded.toxicity`` comes from the scorer ``embedded``."""
    return value == scorer or value.startswith(f"{scorer}.")


# Suites, metrics, groups.


def _suites(comparison: Comparison, series: Sequence[Series]) -> tuple[SuiteView, ...]:
    """Suites in the order of their declarations, then any that only the summaries know."""
    summaries = [comparison.summary, *(variant.summary for variant in comparison.variants)]
    declared = {str(suite.get("name", "")): suite for suite in comparison.suites}
    names = origin.unique([*declared, *(row.suite for summary in summaries for row in summary)])
    smoke = _smoke(comparison, comparison.summary)
    views = []
    for at, name in enumerate(names):
        about = declared.get(name, {})
        keys = dict.fromkeys(_key(row) for summary in summaries for row in summary if row.suite == name)
        identity = charts.identity("suite", str(at), name)
        metrics = [
            _metric(f"{identity}-m{i}", key, comparison, series, origin.texts(about.get("groups")))
            for i, key in enumerate(keys)
        ]
        counted = answers(comparison, series, name, identity, smoke)
        views.append(_suite(identity, name, about, metrics, counted))
    return tuple(views)


def _suite(
    identity: str, name: str, about: Mapping[str, Any], metrics: Sequence[Metric], counted: Answers
) -> SuiteView:
    """A suite's words and facts; a fact the record lacks is left out."""
    words = (("What the numbers mean", "measures"), ("What they do not mean", "limits"), ("How it was made", "made"))
    facts = (
        ("Items", "items"), ("Answers drawn per prompt", "samples"), ("Decoding", "decoding"), ("Groups", "groups"),
        ("Templates matched across groups", "matched"), ("Language", "language"), ("Version", "version"),
        ("Digest", "digest"),
    )  # fmt: skip
    return SuiteView(
        identity,
        name,
        str(about.get("title") or name),
        tuple((head, str(about[key])) for head, key in words if about.get(key)),
        tuple((head, origin.fact(about[key])) for head, key in facts if about.get(key) not in (None, "", [], (), {})),
        tuple(metrics),
        counted,
    )


def _key(row: SummaryRow | Difference) -> Key:
    return (row.suite, row.metric, row.variant, row.scorer)


def _metric(identity: str, key: Key, comparison: Comparison, series: Sequence[Series], groups: Sequence[str]) -> Metric:
    """One metric with its charts and tables."""
    rows: dict[tuple[int, str], SummaryRow] = {}
    changes: dict[tuple[int, str], Change] = {}
    for one, summary in zip(series, [comparison.summary, *(v.summary for v in comparison.variants)], strict=True):
        rows |= {(one.index, row.group): row for row in summary if _key(row) == key}
    for one, variant in zip(series[1:], comparison.variants, strict=True):
        rules = _rules_of(variant, key)
        found = {row.group: row for row in variant.differences if _key(row) == key}
        for group in dict.fromkeys([*found, *rules]):
            changes[one.index, group] = Change(one, found.get(group), rules.get(group))
    head = next(iter(rows.values()))
    whole = tuple((one, rows.get((one.index, ALL))) for one in series)
    whole_changes = tuple(changes.get((one.index, ALL)) or Change(one, None, None) for one in series[1:])
    return Metric(
        id=identity,
        head=head,
        runs=whole,
        changes=whole_changes,
        values_chart=charts.values(head, f"{identity}-v", [(one.name, [(one, row)]) for one, row in whole]),
        changes_chart=charts.changes(
            head, f"{identity}-c", [(change.series, change.difference, change.rule) for change in whole_changes]
        )
        if whole_changes
        else None,
        groups=_group_tables(identity, head, series, rows, changes, groups),
        methods=origin.unique(row.method for row in rows.values()),
        whole=any(row is not None for _, row in whole),
    )


def _rules_of(variant: VariantComparison, key: Key) -> dict[str, RuleResult]:
    """The gate's rule on a metric, by group; where a group has several the worst, as each must hold."""
    rules = variant.gate.rules if variant.gate else ()
    found = [rule for rule in rules if (rule.suite, rule.metric, rule.scorer) == (key[0], key[1], key[3])]
    return {rule.group: rule for rule in sorted(found, key=lambda rule: -_ORDER[rule.verdict])}


def _facet(group: str) -> str:
    """The key of a breakdown written ``key=value``; empty for a group's name."""
    found = re.match(r"([A-Za-z]\w*)=", group)
    return found.group(1) if found else ""


def _group_tables(
    identity: str,
    head: SummaryRow,
    series: Sequence[Series],
    rows: Mapping[tuple[int, str], SummaryRow],
    changes: Mapping[tuple[int, str], Change],
    order: Sequence[str],
) -> tuple[GroupTable, ...]:
    """Tables by group and by every other facet; more than four runs are spread over several, the base in each.

    More than four runs are not drawn: drawings of every metric, run and group weigh a page down, and their numbers
    stand in the tables, their colours in the heat maps.
    """
    names = [group for _, group in rows if group != ALL]
    facets: dict[str, list[str]] = {}
    for name in dict.fromkeys([*(group for group in order if group in names), *names]):
        facet = "" if name in order else _facet(name)
        facets.setdefault(facet, []).append(name)
    tables = []
    for facet, members in facets.items():
        for start in range(1, max(len(series), 2), _RUNS_PER_TABLE - 1):
            shown = (series[0], *series[start : start + _RUNS_PER_TABLE - 1])
            lines = tuple(
                GroupRow(
                    name.split("=", 1)[1] if facet else name,
                    tuple((s, rows.get((s.index, name)), changes.get((s.index, name))) for s in shown),
                )
                for name in members
            )
            label = charts.identity(identity, "g", facet, str(start))
            drawn = [(row.name, [(one, found) for one, found, _ in row.cells]) for row in lines]
            few = len(series) <= _RUNS_PER_TABLE and 1 < len(lines) <= charts.MOST_GROUPS
            chart = charts.values(head, label, drawn) if few else None
            tables.append(GroupTable(facet.replace("_", " ") or "group", shown, lines, chart))
    return tuple(tables)


# The gate.


def _alone(series: Series, comparison: Comparison, use: PolicyUse | None) -> tuple[VariantView, ...]:
    """The verdict on a single run; none where no policy judged it."""
    if comparison.gate is None:
        return ()
    run = VariantComparison(
        run=comparison.base, summary=comparison.summary, differences=(), gate=comparison.gate, samples_compared=0,
        samples_that_differ=0,
    )  # fmt: skip
    return (_variant(series, run, use, comparison),)


def _variant(series: Series, variant: VariantComparison, use: PolicyUse | None, whole: Comparison) -> VariantView:
    """A variant's verdict with its rules, worst first."""
    identity = f"variant-{series.index}"
    gate = variant.gate
    rules = tuple(_rule(rule, variant) for rule in (gate.rules if gate else ()))
    ordered = tuple(sorted(rules, key=lambda view: _ORDER[view.rule.verdict]))
    closest = _closest(ordered)
    tally = tuple((name, sum(view.rule.verdict == name for view in rules)) for name in _ORDER)
    return VariantView(
        identity,
        series,
        variant,
        gate,
        ordered,
        tuple((name, number) for name, number in tally if number),
        closest,
        sentences.verdict(
            series.name, whole.base.name, variant, closest.rule if closest else None, summary=whole.summary
        ),
        sentences.plainly(closest.rule) if closest and gate and gate.verdict == closest.rule.verdict else "",
        charts.gate(f"{identity}-gate", series.name, [(view.rule, view.unit, view.about) for view in ordered]),
        use,
    )


def _sentence(variants: Sequence[VariantView]) -> str:
    """All verdicts in a sentence: ``Of 3 variants, 1 fails, 1 is inconclusive and 1 passes.``."""
    verbs = {
        "fail": ("fails", "fail"), "incomplete": ("is incomplete", "are incomplete"),
        "inconclusive": ("is inconclusive", "are inconclusive"), "pass": ("passes", "pass"),
        "": ("was not gated", "were not gated"),
    }  # fmt: skip
    found = [view.gate.verdict if view.gate else "" for view in variants]
    parts = [f"{found.count(name)} {words[found.count(name) > 1]}" for name, words in verbs.items() if name in found]
    joined = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"Of {len(variants)} variants, {joined}."


def _rule(rule: RuleResult, variant: VariantComparison) -> RuleView:
    """A rule with its metric's unit and scorer, which its record does not name."""
    found: list[Difference | SummaryRow] = [*variant.differences, *variant.summary]
    for row in found:
        if _place(row) == _place(rule):
            about = row.label if row.group == ALL else f"{row.group}: {row.label}"
            return RuleView(rule, about, row.unit, row.scorer if row.smoke else "")
    return RuleView(rule, rule.label, "", "")


def _place(record: Difference | SummaryRow | RuleResult) -> tuple[str, str, str, str]:
    return (record.suite, record.metric, record.scorer, record.group)


def _closest(rules: Sequence[RuleView]) -> RuleView | None:
    """Among the rules with the worst verdict, the one whose interval reaches furthest, measured in its margin."""
    worst = [view for view in rules if view.rule.verdict == rules[0].rule.verdict]

    def reach(view: RuleView) -> float:
        rule = view.rule
        end = rule.low if rule.verdict == "fail" else rule.high
        return float("-inf") if end is None else end / rule.margin if rule.margin > 0 else end

    return max(worst, key=reach, default=None)
