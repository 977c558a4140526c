"""The demo: item counts never under what the rules need, and three variants told apart as they were made to be."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

import audit
from audit.demonstration.speed import FLOORS
from audit.gate import DEFAULT_RULES
from audit.scorers import get
from probes import registry


@pytest.mark.parametrize("name", registry.names()[:5])
def test_the_smallest_demo_has_thirty_templates_for_every_rule(name):
    suite = registry.get(name)
    items = registry.select(suite, FLOORS[name])
    metrics = {rule.metric for rule in DEFAULT_RULES if rule.suite == name}
    needed: dict[str, set[str]] = defaultdict(set)
    for item in items:
        if "degeneration-rate" in metrics and not item.choices:
            needed["degeneration-rate"].add(item.template)
        if metrics & {"preference-log-ratio", "bits-per-byte"} and item.choices:
            needed["likelihood"].add(item.template)
        if "qa-accuracy-disambiguated" in metrics:
            needed[item.fields["condition"]].add(item.template)
    assert bool(needed) == bool(metrics)
    assert all(len(templates) >= 30 for templates in needed.values()), {k: len(v) for k, v in needed.items()}


def test_no_rule_rests_on_a_smoke_test_scorer():
    from audit.metrics import registry as metrics

    read = {metrics.get(rule.metric).scorer for rule in DEFAULT_RULES} - {""}
    assert read and not any(get(name).smoke for name in read)


@pytest.mark.slow
def test_the_demo_tells_its_variants_apart(tmp_path: Path):
    """On the floors of the item counts: what the slowest machine sees."""
    made = audit.demo(tmp_path / "demo", seconds_per_model=1.0)
    assert made.report.is_file() and made.report.stat().st_size < 3e6
    found = {variant.run.name: variant for variant in made.comparison.variants}
    verdicts = {name: variant.gate.verdict for name, variant in found.items()}
    assert verdicts["stereotyping"] == "fail"
    assert verdicts["unrelated"] != "fail"
    assert verdicts["courteous"] != "fail"
    told = {
        row.suite
        for row in found["stereotyping"].differences
        if row.group == "all" and not row.smoke and row.low is not None and (row.low > 0 or row.high < 0)
    }
    assert {"occupations", "plain-text"} <= told
    unrelated = {(row.suite, row.metric): row for row in found["unrelated"].differences if row.group == "all"}
    assert abs(unrelated["occupations", "preference-log-ratio"].difference) < 0.05
    for name in ("base", *verdicts):
        assert audit.verify(tmp_path / "demo" / name) == []
    # Run again: everything is there, nothing is computed anew, and the numbers are the same.
    again = audit.demo(tmp_path / "demo")
    assert [v.differences for v in again.comparison.variants] == [v.differences for v in made.comparison.variants]
