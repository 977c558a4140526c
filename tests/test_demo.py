"""The demo: item counts never under what the rules need, and three variants told apart as they were made to be."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

import audit
from audit.demonstration import show
from audit.demonstration.speed import FLOORS
from audit.gate import DEFAULT_RULES
from audit.plan import make_plan
from audit.policy import read_policy
from audit.scorers import get
from probes import registry

POLICY_FILE = Path(show.__file__).parent / show.POLICY


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


def test_the_policy_takes_its_margins_from_the_built_in_one():
    """The demo's own rule is held to the margin of the rule it divides; none was fitted to what the demo shows."""
    rules = read_policy(POLICY_FILE).rules
    built_in, own = rules[: len(DEFAULT_RULES)], rules[len(DEFAULT_RULES) :]
    assert [replace(rule, line=0) for rule in built_in] == [replace(rule, line=0) for rule in DEFAULT_RULES]
    assert [(rule.group, rule.metric) for rule in own] == [("domain=*", "qa-bias-log-ratio")]
    whole = next(rule for rule in built_in if rule.metric == "qa-bias-log-ratio")
    assert (own[0].suite, own[0].margin, own[0].alpha) == (whole.suite, whole.margin, whole.alpha)
    assert "few" in own[0].why, "a sample that is small on purpose says so"


def test_a_run_of_the_demo_records_the_policy_of_its_folder(tmp_path: Path):
    policy = show._policy(tmp_path / "demo")
    assert (tmp_path / "demo" / "gate.toml").read_bytes() == POLICY_FILE.read_bytes()
    plan = make_plan(policy.fill({"model": "smollm2", "profile": "quick", "samples": 1}))
    assert plan.policy_sha256 == policy.sha256 == hashlib.sha256(POLICY_FILE.read_bytes()).hexdigest()
    assert set(plan.suites) == set(registry.names()[:5]), "every suite of the demo is required"
    (tmp_path / "demo" / "gate.toml").write_text(policy.text + "# changed\n")
    assert show._policy(tmp_path / "demo").sha256 != policy.sha256, "what lies in the folder judges"


@pytest.mark.slow
def test_the_demo_tells_its_variants_apart(tmp_path: Path):
    """On the floors of the item counts: what the slowest machine sees."""
    made = audit.demo(tmp_path / "demo", seconds_per_model=1.0)
    assert made.report.is_file() and made.report.stat().st_size < 3e6
    found = {variant.run.name: variant for variant in made.comparison.variants}
    verdicts = {name: variant.gate.verdict for name, variant in found.items()}
    assert verdicts == {"stereotyping": "fail", "courteous": "inconclusive", "unrelated": "pass"}
    open_rules = [rule for rule in found["courteous"].gate.rules if rule.verdict == "inconclusive"]
    assert {rule.group.partition("=")[0] for rule in open_rules} == {"domain"}
    assert all("would settle it" in rule.reason for rule in open_rules if rule.needed)
    assert any(rule.needed for rule in open_rules), "the n that would settle it is printed"
    assert all(use.registered and use.attempt == 1 for use in made.comparison.policy.uses)
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
