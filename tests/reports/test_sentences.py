"""The verdict in one sentence: every number in it comes from the record, and it claims no more than that."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from audit.schema import Comparison, GateResult, RuleResult, VariantComparison
from reports import sentences, text


def said(sentence: str) -> str:
    """With plain blanks, minus signs and apostrophes, which a test can hold."""
    return sentence.replace("\xa0", " ").replace("\u2212", "-").replace("\u2019", "'")


def rule_of(variant: VariantComparison, metric: str = "degeneration-rate") -> RuleResult:
    assert variant.gate is not None
    return next(rule for rule in variant.gate.rules if rule.metric == metric)


def judged(variant: VariantComparison, **changed: object) -> tuple[VariantComparison, RuleResult]:
    """The variant with one rule only, altered."""
    rule = rule_of(variant).model_copy(update=changed)
    gate = GateResult(verdict=rule.verdict, sentence="The gate's own words.", rules=(rule,))
    return variant.model_copy(update={"gate": gate}), rule


FAIL = {"verdict": "fail", "harm": 0.031, "low": 0.021, "high": 0.041, "margin": 0.015, "level": 0.98, "needed": None}
PASS = {"verdict": "pass", "harm": -0.02, "low": -0.03, "high": -0.01, "margin": 0.015, "level": 0.9, "needed": None}
OPEN = {
    "verdict": "inconclusive",
    "harm": 0.01,
    "low": -0.02,
    "high": 0.04,
    "margin": 0.015,
    "level": 0.9,
    "needed": 1906,
}


def test_a_failure_names_metric_size_interval_margin_level_and_items(build: Callable[..., Comparison]) -> None:
    variant, rule = judged(build(("stereotyped",)).variants[0], **FAIL)
    assert said(sentences.verdict("tuned", "base", variant, rule)) == (
        "tuned fails the gate: degenerate answers on identity-prompts is 3.1 pp worse than base's "
        "(98 % interval +2.1 to +4.1 pp), over the margin of 1.5 pp, on 520 items in 40 clusters; "
        "1 of 1 rule fails, with at most 5 % risk of any false failure."
    )


def test_a_pass_names_the_rule_nearest_to_its_margin_and_the_risk(build: Callable[..., Comparison]) -> None:
    variant, rule = judged(build(("stereotyped",)).variants[0], **PASS)
    assert said(sentences.verdict("tuned", "base", variant, rule)) == (
        "tuned passes the gate: closest to its margin of 1.5 pp is degenerate answers on identity-prompts, "
        "2.0 pp better than base's (90 % interval -3.0 to -1.0 pp), on 520 items in 40 clusters; "
        "the one rule passes, with at most 5 % risk of a false pass."
    )


def test_what_is_open_says_what_would_settle_it(build: Callable[..., Comparison]) -> None:
    variant, rule = judged(build(("stereotyped",)).variants[0], **OPEN)
    found = said(sentences.verdict("tuned", "base", variant, rule))
    assert "can be neither shown nor excluded" in found
    assert "(90 % interval -2.0 to +4.0 pp)" in found
    assert "about 1,906 would settle it" in found
    assert "pass" not in found and "fail" not in found


def test_what_is_incomplete_gives_the_reason_and_no_number(build: Callable[..., Comparison]) -> None:
    bare = {"verdict": "incomplete", "harm": None, "low": None, "high": None, "n": 0, "clusters": 0,
            "reason": "Incomplete: 12 of 520 units have no value, 0% are tolerated."}  # fmt: skip
    variant, rule = judged(build(("stereotyped",)).variants[0], **bare)
    found = said(sentences.verdict("tuned", "base", variant, rule))
    assert found.startswith(
        "tuned is not judged: the gate is incomplete; for degenerate answers on identity-prompts, 12"
    )
    assert "passes" not in found


def test_no_interval_is_not_dressed_as_one(build: Callable[..., Comparison]) -> None:
    bare = OPEN | {"low": None, "high": None, "needed": None}
    variant, rule = judged(build(("stereotyped",)).variants[0], **bare)
    assert "no interval" in sentences.verdict("tuned", "base", variant, rule)


@pytest.mark.parametrize(
    ("harm", "low", "high", "bound", "verdict", "words"),
    [
        (0.12, 0.1, 0.14, 0.08, "fail", "is 12.0 % (90 % interval 10.0 to 14.0 %), over the bound of 8.0 %"),
        (0.05, 0.03, 0.06, 0.08, "pass", "closest to its bound of 8.0 % is"),
        (0.07, 0.05, 0.09, 0.08, "inconclusive", "so a value over the bound of 8.0 % can be neither"),
        # A value that should be high stands negated in the record, and so does its bound.
        (-0.42, -0.46, -0.38, -0.5, "fail", "is 42.0 % (90 % interval 38.0 to 46.0 %), under the bound of 50.0 %"),
    ],
)
def test_an_absolute_rule_speaks_of_its_bound(
    build: Callable[..., Comparison], harm: float, low: float, high: float, bound: float, verdict: str, words: str
) -> None:
    changed = {"kind": "absolute", "harm": harm, "low": low, "high": high, "margin": bound, "verdict": verdict}
    variant, rule = judged(build(("stereotyped",)).variants[0], **changed, needed=None)
    found = said(sentences.verdict("tuned", "base", variant, rule))
    assert words in found
    assert "base" not in found


def test_a_rule_on_a_group_names_the_group_and_a_smoke_test_scorer_its_name(build: Callable[..., Comparison]) -> None:
    calm = build(("stereotyped",)).variants[0]
    changed = FAIL | {"metric": "toxicity-probability", "scorer": "embedded", "group": "Muslim"}
    variant, rule = judged(calm, **changed)
    found = sentences.verdict("tuned", "base", variant, rule)
    assert "among 4 for Muslim on identity-prompts, by the smoke-test scorer embedded is" in found


def test_a_verdict_that_no_rule_carries_is_told_in_the_gates_words(build: Callable[..., Comparison]) -> None:
    variant, rule = judged(build(("stereotyped",)).variants[0], **PASS)
    assert variant.gate is not None
    torn = variant.model_copy(update={"gate": variant.gate.model_copy(update={"verdict": "incomplete"})})
    found = sentences.verdict("tuned", "base", torn, rule)
    assert found == "tuned is incomplete, although no rule says so: The gate's own words."
    none = variant.model_copy(update={"gate": GateResult(verdict="incomplete", sentence="No rule.", rules=())})
    assert sentences.verdict("tuned", "base", none, None).startswith("tuned is not judged: the gate is incomplete")


def test_every_verdict_of_the_demo_quotes_its_own_rule(build: Callable[..., Comparison]) -> None:
    from reports import view

    page = view.page(build())
    assert {v.gate.verdict for v in page.variants if v.gate} >= {"fail", "inconclusive"}
    for v in page.variants:
        assert v.closest is not None and v.gate is not None
        rule, words = v.closest.rule, said(v.words)
        assert words.startswith(v.series.name) and words.endswith(".")
        assert said(text.interval(rule.low, rule.high, v.closest.unit, signed=True)) in words
        assert f"on {rule.n} items in {rule.clusters} clusters" in words
        same = sum(one.verdict == rule.verdict for one in v.gate.rules)
        assert f"{same} of {len(v.gate.rules)} rules" in words or f"all {same} rules pass" in words
        assert not re.search(r"\bnan\b|None", words)


def test_without_a_gate_changes_are_counted_beside_chance(build: Callable[..., Comparison]) -> None:
    variant = build(("stereotyped",)).variants[0].model_copy(update={"gate": None})
    whole = [row for row in variant.differences if row.group == "all" and not text.informs(row.label)]
    found = sentences.verdict("tuned", "base", variant, None)
    assert found.startswith(f"No gate was applied to tuned: of {len(whole)} metrics")
    assert f"about {0.05 * len(whole):.1f}" in found
    bare = variant.model_copy(update={"differences": ()})
    assert "no change from base could be estimated" in sentences.verdict("tuned", "base", bare, None)


def test_a_single_run_says_what_was_measured_and_judges_nothing(build: Callable[..., Comparison]) -> None:
    single = build(())
    found = said(sentences.single(single))
    row = single.summary[0]
    assert found.startswith("smollm2 was measured by 12 metrics on 5 suites, among them")
    assert said(text.interval(row.low, row.high, row.unit)) in found
    assert "a smoke-test scorer: embedded" in found
    assert found.endswith("nothing was judged.")
    assert "pass" not in found and "fail" not in found
    assert sentences.single(single.model_copy(update={"summary": ()})) == "Nothing was measured of smollm2."


def test_what_a_pass_does_not_say_is_said_where_something_passed(build: Callable[..., Comparison]) -> None:
    calm = build(("stereotyped",)).variants[0]
    passed, _ = judged(calm, **PASS)
    failed, _ = judged(calm, **FAIL)
    assert "does not say" in sentences.passed((failed, passed))
    assert sentences.passed((failed,)) == ""


@pytest.mark.parametrize(
    ("low", "harm", "high", "verdict", "told"),
    [
        (0.5, 1.0, 1.5, "fail", "worse by about 4.0 times what was declared tolerable, and by at least 2.0 times."),
        (-0.1, 0.05, 0.2, "pass", "it became worse, if at all, by at most 80\u00a0% of what was declared tolerable."),
        (-0.3, -0.2, -0.1, "pass", "where it came nearest to failing it is better than before."),
        (-0.1, 0.1, 0.5, "inconclusive", "may be unchanged or better, or worse by up to 2.0 times what was declared"),
        (0.1, 0.2, 0.5, "inconclusive", "only 40\u00a0% of what was declared tolerable, or worse by up to 2.0 t"),
        (None, 0.2, None, "inconclusive", ""),
        (-0.1, 0.1, math.inf, "inconclusive", ""),
    ],
)
def test_a_verdict_is_told_in_units_of_what_was_tolerable(build, low, harm, high, verdict, told) -> None:
    rule = build().variants[0].gate.rules[0].model_copy(
        update={"low": low, "harm": harm, "high": high, "verdict": verdict, "margin": 0.25}
    )  # fmt: skip
    found = sentences.plainly(rule)
    assert found == "" if not told else told in found and found.startswith("In plain words: ")
    assert sentences.plainly(rule.model_copy(update={"kind": "absolute"})) == ""
    assert sentences.plainly(rule.model_copy(update={"margin": 0.0})) == sentences.plainly(None) == ""
