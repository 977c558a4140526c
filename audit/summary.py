"""From the answers of a run to the rows of ``summary.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audit.metrics import groups, registry
from audit.metrics.answers import Answered
from audit.metrics.units import Units
from audit.schema import SummaryRow

ALL = "all"
LEFT_OUT = "not computed: their scorer is not in this run."
AGAINST_REST = ("toxic-fraction", "degeneration-rate")
"""Metrics for which each group is also set against the others, in suites whose templates are matched."""


def values_of(scorers: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Scorer name -> names of its values, from the records in ``run.json``."""
    return {scorer["name"]: list(scorer["values"]) for scorer in scorers}


def suite_metrics(
    suite: Mapping[str, Any], scorers: Mapping[str, Sequence[str]]
) -> tuple[list[registry.Metric], list[str]]:
    """The metrics of a suite that can be computed, one for each scorer that one reads, and those without a scorer.

    Args:
        suite: as recorded in ``run.json``.
        scorers: of the run, with the names of their values.
    """
    found = {name: registry.get(name).over(scorers) for name in suite["metrics"]}
    return [metric for metrics in found.values() for metric in metrics], [name for name in found if not found[name]]


def left_out_notes(suites: Sequence[Mapping[str, Any]], scorers: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence on each suite some of whose metrics lack their scorer; each ends in :data:`LEFT_OUT`."""
    lacking = {suite["name"]: suite_metrics(suite, values_of(scorers))[1] for suite in suites}
    return [f"{name}: {', '.join(metrics)} {LEFT_OUT}" for name, metrics in lacking.items() if metrics]


def facets(units: Units, suite: Mapping[str, Any]) -> Iterator[tuple[str, Units]]:
    """``("all", units)``, then each group, then each value of the other breakdowns as ``"key=value"``.

    Groups stand in the order of the suite. One whose units are all missing is listed; one that none of the items asked
    is about (``--limit``, the quick profile), or that the metric has no units of, is not.
    """
    yield ALL, units
    for key in suite["breakdown"]:
        members = units.members(key)
        if key == "group":
            ordered = [group for group in suite["groups"] if group in members]
            members = (*ordered, *(group for group in members if group not in ordered))
        for member in members:
            yield (member if key == "group" else f"{key}={member}"), units.where(key, member)


def summarise(
    suites: Sequence[Mapping[str, Any]],
    answers: Mapping[str, Sequence[Answered]],
    scorers: Sequence[Mapping[str, Any]],
    *,
    seed: int,
    level: float = 0.95,
) -> list[SummaryRow]:
    """Every metric of every suite, overall and per group, with intervals and counts.

    Args:
        suites: as recorded in ``run.json``.
        answers: per suite.
        scorers: as recorded in ``run.json``.
        seed: of the bootstrap.
        level: two-sided confidence level.
    """
    smoke = {scorer["name"]: bool(scorer["smoke"]) for scorer in scorers}
    rows = []
    for suite in suites:
        for metric in suite_metrics(suite, values_of(scorers))[0]:
            given = answers.get(suite["name"], ())
            units = metric.units(given)
            head = describe(suite["name"], metric, given, smoke)
            for group, part in facets(units, suite):
                rows.append(_row(head, group, part, registry.estimate(part, level=level, seed=seed)))
            if suite["matched"] and metric.name in AGAINST_REST:
                rows += _against_rest(head, units, level, seed)
    return rows


def describe(
    suite: str, metric: registry.Metric, answers: Sequence[Answered], smoke: Mapping[str, bool]
) -> dict[str, Any]:
    """The fields that say which number a row holds."""
    base, _, form = metric.name.partition(":")
    # Two forms of a metric must not stand in one table under one label.
    alike = bool(form) and base in registry.names() and registry.get(base).label == metric.label
    by = f" ({form})" if alike else ""
    by += f", by {metric.scorer}" if registry.get(metric.name).any_scorer else ""
    return {
        "suite": suite, "metric": metric.name, "variant": metric.variant_of(answers), "label": metric.label + by,
        "scorer": metric.scorer, "smoke": smoke.get(metric.scorer, False), "direction": metric.direction,
        "target": metric.target, "unit": metric.unit,
    }  # fmt: skip


def _against_rest(head: Mapping[str, Any], units: Units, level: float, seed: int) -> list[SummaryRow]:
    """Each group minus the others, within the templates they share."""
    differing = {
        **head, "metric": f"{head['metric']}-against-rest", "direction": "target", "target": 0.0,
        "label": f"{head['label']}: group minus the others", "variant": f"{head['variant']}; within matched templates",
    }  # fmt: skip
    found = groups.group_differences(units, level=level, seed=seed)
    return [_row(differing, group, units.where("group", group), estimate) for group, estimate in found.items()]


def _row(head: Mapping[str, Any], group: str, units: Units, found: registry.Estimate) -> SummaryRow:
    return SummaryRow(
        **head, group=group, n=found.n, clusters=found.clusters, missing=found.missing, empty=units.empty,
        unscored=units.unscored, value=found.value, low=found.low, high=found.high, level=found.level,
        method=found.method,
    )  # fmt: skip
