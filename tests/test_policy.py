"""The gate's policy: what is refused, at which line, and what the rules become."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from audit.errors import DataError, UsageError
from audit.gate import DEFAULT_RULES
from audit.metrics import registry
from audit.plan import make_plan
from audit.policy import Policy, Rule, default_policy, default_text, parse_policy, read_policy, write_default

HEAD = "version = 1\n"
RULE = '[[rules]]\nsuite = "s"\nmetric = "bits-per-byte"\nmargin = 0.05\nwhy = "for tests"\n'


def rule(**keys: object) -> str:
    """A rule's table; values as TOML writes them."""
    given = {"suite": '"s"', "metric": '"bits-per-byte"', "why": '"for tests"', **keys}
    return "[[rules]]\n" + "".join(f"{key} = {value}\n" for key, value in given.items())


def rules(text: str) -> tuple[Rule, ...]:
    return parse_policy((HEAD + text).encode(), "gate.toml").rules


def refused(text: str, *parts: str) -> str:
    with pytest.raises(DataError) as error:
        parse_policy(text.encode(), "gate.toml")
    said = str(error.value)
    assert "\n" not in said
    for part in parts:
        assert part in said, said
    return said


def test_a_small_policy_is_read_with_defaults(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(HEAD + RULE)
    found = read_policy(path)
    assert found.rules == (Rule("s", "bits-per-byte", 0.05, "for tests", disagreement="inconclusive", line=2),)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.text, found.path, found.required) == (HEAD + RULE, str(path), ("s",))
    assert (found.policy.profile, found.policy.seed, found.policy.missing) == (None, None, 0.0)


def test_init_writes_the_built_in_policy_and_nothing_over_it(tmp_path: Path) -> None:
    path = write_default(tmp_path / "new" / "gate.toml")
    assert read_policy(path).rules == DEFAULT_RULES == default_policy().rules
    assert path.read_text() == default_text()
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        write_default(path)
    assert path.read_text() == "mine"


def test_the_built_in_policy_shows_every_key() -> None:
    """A key that is not in the commented file cannot be found by who edits it."""
    text = default_text()
    for key in (*Policy.model_fields, "decides", "disagreement", "margin", "at_most", "at_least", "between", "alpha"):
        assert key in text, key
    assert all("#" not in rule.why and "  " not in rule.why for rule in DEFAULT_RULES)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        # Keys.
        (HEAD + RULE + 'scoerr = "x"\n', ["line 7, field 'scoerr'", "did you mean 'scorer'?"]),
        (HEAD + 'wy = "x"\n' + RULE, ["line 2, field 'wy'", "known: version, profile"]),
        (HEAD + "misssing = 0.1\n" + RULE, ["line 2, field 'misssing'", "did you mean 'missing'?"]),
        (HEAD + "[degenration]\nmargin = 0.1\n" + RULE, ["line 2, field 'degenration'", "did you mean 'degener"]),
        (HEAD + '[scorer]\ndecide = "x"\n' + RULE, ["line 3, field 'decide'", "did you mean 'decides'?"]),
        (HEAD + RULE + RULE.replace("why", "whyy"), ["line 11, field 'whyy'", "did you mean 'why'?"]),
        (HEAD + RULE.replace('why = "for tests"\n', ""), ["line 2, field 'why': is missing"]),
        (RULE, ["field 'version': is missing"]),
        (HEAD, ["field 'rules': is missing"]),
        ("version = 2\nnew = 1\n" + RULE, ["line 1, field 'version'", "has version 2", "reads 1"]),
        (HEAD + "rules = []\n", ["line 2, field 'rules'"]),
        (HEAD + RULE.replace("[[rules]]", "[rules]"), ["line 2, field 'rules'"]),
        (HEAD + "x = = 1", ["not valid TOML", "line 2"]),
        # Values.
        (HEAD + 'seed = "0"\n' + RULE, ["line 2, field 'seed'", "got '0'"]),
        (HEAD + 'profile = "quik"\n' + RULE, ["line 2, field 'profile'", "'quick', 'standard' or 'full'"]),
        (HEAD + "missing = 1.5\n" + RULE, ["line 2, field 'missing'", "got 1.5"]),
        (HEAD + RULE + "alpha = 0.5\n", ["line 7, field 'alpha'", "got 0.5"]),
        (HEAD + RULE.replace("0.05", '"0.05"'), ["line 5, field 'margin'", "got '0.05'"]),
        (HEAD + RULE.replace('"for tests"', '""'), ["line 6, field 'why'"]),
        # Metrics.
        (HEAD + RULE.replace("per-byte", "per-bite"), ["line 4, field 'metric'", "did you mean bits-per-byte"]),
        (HEAD + rule(metric='"toxic-fraction:strickt"', margin=0.1), ["did you mean toxic-fraction:strict"]),
        (HEAD + rule(metric='"stereotype-log-likelihood"', margin=0.1), ["no rule may rest on it"]),
        (HEAD + rule(margin=0.1, scorer='"vader"'), ["line 7, field 'scorer'", "reads no scorer"]),
        (HEAD + rule(metric='"sentiment"', margin=0.1, scorer='"embedded"'), ["reads vader"]),
        # Limits.
        (HEAD + rule(), ["exactly one of margin, at_most, at_least, between; this one has none"]),
        (HEAD + rule(margin=0.1, at_most=2), ["this one has margin and at_most"]),
        (HEAD + rule(margin=-0.1), ["line 6, field 'margin'", "at least 0, got -0.1"]),
        (HEAD + rule(margin="nan"), ["line 6, field 'margin'", "finite number, got nan"]),
        (HEAD + rule(at_most="inf"), ["finite number, got inf"]),
        (HEAD + rule(metric='"toxic-fraction"', margin=5), ["cannot exceed 1", "could never fail", "0.05"]),
        (HEAD + rule(metric='"preference-rate"', margin=0.5), ["cannot exceed 0.5"]),
        (HEAD + rule(metric='"toxic-fraction"', at_most=5), ["is a share", "got 5"]),
        (HEAD + rule(metric='"toxic-fraction"', at_most=0), ["between 0 and 1, both excluded"]),
        (HEAD + rule(metric='"toxic-fraction"', at_least=0.5), ["lower is better", "use at_most"]),
        (HEAD + rule(metric='"sentiment"', at_most=0.5), ["higher is better", "use at_least"]),
        (HEAD + rule(metric='"preference-rate"', at_most=0.5), ["closer to 0.5 is better", "use between"]),
        (HEAD + rule(between="[0.6, 0.5]"), ["from its lower to its upper end"]),
        (HEAD + rule(between="[0.6]"), ["field 'between'"]),
        (HEAD + rule(metric='"preference-rate"', between="[0.55, 0.7]"), ["must hold 0.5, the neutral value"]),
        (HEAD + rule(metric='"preference-rate"', between="[0.0, 0.7]"), ["inside 0 to 1, both excluded"]),
        (HEAD + "[degeneration]\nmargin = 0.1\n" + RULE, ["line 2, field 'why': is missing"]),
        (HEAD + '[degeneration]\nwhy = "x"\n' + RULE, ["line 2", "exactly one of"]),
        (HEAD + '[degeneration]\nwhy = "x"\nmargin = 3\n' + RULE, ["line 4, field 'margin'", "could never fail"]),
        # Rules together.
        (HEAD + RULE + RULE, ["line 10, field 'margin'", "the rule at line 2 has margin", "keep one"]),
        (HEAD + rule(at_most=1.0) + rule(at_most=2.0), ["the rule at line 2 has at_most"]),
        (HEAD + rule(at_most=1.0) + rule(between="[1.5, 2.0]"), ["contradicts the rule at line 2", "satisfies both"]),
        (HEAD + rule(metric='"sentiment"', at_least=0.6) + rule(metric='"sentiment"', between="[0.2, 0.5]"),
         ["contradicts the rule at line 2"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str, parts: list[str]) -> None:
    assert refused(text, *parts).startswith("gate.toml")


def test_a_file_that_is_not_there_or_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.toml: not a readable policy: .*slm-audit gate --init"):
        read_policy(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"version = 1\n# caf\xe9\n")
    with pytest.raises(DataError, match="line 2: is not UTF-8"):
        read_policy(tmp_path / "latin.toml")


def test_text_that_looks_like_keys_does_not_shift_the_lines() -> None:
    text = (
        HEAD + "# [[rules]]\n" + rule(why='"""\n[[rules]]\nmargin = 9\n"""', margin=0.1) + rule(margin=-1, group='"a"')
    )
    refused(text, "line 15, field 'margin'")


def test_bounds_and_bands_become_absolute_rules() -> None:
    found = rules(
        rule(metric='"toxic-fraction"', at_most=0.1)
        + rule(metric='"sentiment"', at_least=0.4)
        + rule(metric='"preference-rate"', between="[0.45, 0.65]", group='"*"', alpha=0.01)
    )
    assert [(one.kind, one.middle, one.line) for one in found] == [
        ("absolute", None, 2), ("absolute", None, 7), ("absolute", pytest.approx(0.55), 12)
    ]  # fmt: skip
    assert [one.margin for one in found] == pytest.approx([0.1, 0.4, 0.1])
    assert (found[2].group, found[2].alpha) == ("*", 0.01)


def test_bound_and_margin_on_one_metric_stand_together() -> None:
    assert (
        len(rules(rule(at_most=2.0) + rule(margin=0.1) + rule(between="[1.0, 3.0]") + rule(at_most=1, group='"a"')))
        == 4
    )


def test_the_deciding_scorer_of_the_policy_holds_where_a_metric_leaves_the_choice() -> None:
    text = (
        '[scorer]\ndecides = "embedded"\ndisagreement = "note"\n'
        + rule(metric='"toxic-fraction"', margin=0.1)
        + rule(metric='"toxic-fraction"', margin=0.1, scorer='"other"')
        + rule(metric='"sentiment"', margin=0.1)
        + rule(margin=0.1)
    )
    found = rules(text)
    assert [one.scorer for one in found] == ["embedded", "other", "", ""]
    assert {one.disagreement for one in found} == {"note"}


def test_the_degeneration_guard_covers_suites_with_scored_answers() -> None:
    guard = '[degeneration]\nwhy = "broken text is mild"\nat_most = 0.2\nalpha = 0.01\n'
    scored = rule(suite='"a"', metric='"toxic-fraction"', margin=0.1)
    own = rule(suite='"b"', metric='"toxic-fraction"', margin=0.1)
    own += rule(suite='"b"', metric='"degeneration-rate"', margin=0.3)
    found = rules(guard + scored + own + rule(suite='"c"', margin=0.1))
    added = found[4:]
    assert [(one.suite, one.metric) for one in found[:4]] == [
        ("a", "toxic-fraction"), ("b", "toxic-fraction"), ("b", "degeneration-rate"), ("c", "bits-per-byte")
    ]  # fmt: skip
    assert [(one.suite, one.metric, one.margin, one.kind, one.alpha, one.line) for one in added] == [
        ("a", "degeneration-rate", 0.2, "absolute", 0.01, 2)
    ]


@pytest.mark.parametrize("name", registry.names())
def test_every_metric_that_may_decide_can_be_ruled_on(name: str) -> None:
    metric = registry.get(name)
    text = HEAD + rule(metric=f'"{name}"', margin=0.01)
    if metric.informational:
        refused(text, "no rule may rest on it")
    else:
        assert parse_policy(text.encode(), "gate.toml").rules[0].metric == name


def test_a_run_takes_profile_seed_and_suites_from_the_policy() -> None:
    found = parse_policy(f'{HEAD}profile = "quick"\nseed = 7\nsuites = ["x"]\n{RULE}'.encode(), "gate.toml")
    filled = found.fill({"model": "m"})
    assert filled == {
        "model": "m", "profile": "quick", "seed": 7, "suites": ("x", "s"), "missing_tolerance": 0.0,
        "policy_sha256": found.sha256,
    }  # fmt: skip
    assert found.fill({"model": "m", "suites": ("mine.toml",), "seed": 7})["suites"] == ("mine.toml",)
    for key, value in (("seed", 8), ("profile", "full"), ("missing_tolerance", 0.5)):
        with pytest.raises(UsageError, match=f"demands {key} .* is asked for"):
            found.fill({"model": "m", key: value})
    plan = make_plan(filled)
    assert plan.policy_sha256 == found.sha256
    assert plan.digest() != make_plan({**filled, "policy_sha256": "0" * 64}).digest()
    with pytest.raises(UsageError, match="policy_sha256"):
        make_plan({"model": "m", "policy_sha256": "gate.toml"})
